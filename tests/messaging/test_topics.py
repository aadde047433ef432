"""Topic names, and users that may stand in them."""

import pytest

from offchain.messaging.topics import NodeTopic, set_points
from offchain.protocol.errors import InvalidInput


def test_topic_of_a_node_reads_back() -> None:
    assert NodeTopic.SET_POINT_ACKS.of("node-a") == "lightnode/node-a/setpoint-acks"
    assert NodeTopic.parse("lightnode/node-a/setpoint-acks") == ("node-a", NodeTopic.SET_POINT_ACKS)


@pytest.mark.parametrize("user", ["", "+", "#", "a/b", "a b", "x" * 65, "é"])
def test_user_that_would_change_the_topic_is_refused(user: str) -> None:
    with pytest.raises(InvalidInput, match="user"):
        NodeTopic.READINGS.of(user)
    with pytest.raises(InvalidInput, match="user"):
        set_points(user)


@pytest.mark.parametrize(
    "topic", ["lightnode/a", "lightnode/a/other", "dso/a/readings", "lightnode/a/readings/b"]
)
def test_other_topic_is_refused(topic: str) -> None:
    with pytest.raises(InvalidInput, match="topic"):
        NodeTopic.parse(topic)
