"""ASSUME's clearing of orders read from stdin, run in an environment of its own; imports nothing of the project.

In: {"role": name of ASSUME's class, "repeats": how often it clears them, "orders": [[slot, W (below 0: demand), price], ...]}. Out:
median seconds of its `clear`, and by slot the accepted volume and the highest accepted price.
"""

import json
import sys
import time
from copy import deepcopy
from datetime import datetime, timedelta
from statistics import median

from assume.common.market_objects import MarketConfig, MarketProduct
from assume.markets.clearing_algorithms import simple
from dateutil.rrule import DAILY, rrule

START, SLOT = datetime(2026, 1, 1), timedelta(minutes=15)


def main() -> None:
    """Read, clear, print."""
    asked = json.load(sys.stdin)
    products = {
        slot: (START + slot * SLOT, START + (slot + 1) * SLOT, None) for slot, _, _ in asked["orders"]
    }
    orders = [
        {
            "start_time": products[slot][0],
            "end_time": products[slot][1],
            "only_hours": None,
            "volume": float(power_w),
            "price": float(price),
            "agent_addr": "nobody",
            "bid_id": str(number),
        }
        for number, (slot, power_w, price) in enumerate(asked["orders"])
    ]
    day = rrule(DAILY, dtstart=START, until=START + timedelta(days=2))
    market = MarketConfig(
        "benchmark", opening_hours=day, market_products=[MarketProduct(SLOT, len(products), timedelta())]
    )
    role = getattr(simple, asked["role"])(market)
    seconds = []
    for _ in range(asked["repeats"]):
        fresh = deepcopy(orders)  # it writes into them
        start = time.perf_counter()
        _, _, meta, _ = role.clear(fresh, list(products.values()))
        seconds.append(time.perf_counter() - start)
    slots = {product[0]: slot for slot, product in products.items()}
    found = {slots[each["product_start"]]: (each["supply_volume"], each["max_price"]) for each in meta}
    print(json.dumps({"seconds": median(seconds), "slots": [found[slot] for slot in sorted(found)]}))


if __name__ == "__main__":
    main()
