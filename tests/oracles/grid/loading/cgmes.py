"""A small grid as CGMES 2.4.15 (node-breaker): a 20/0.4 kV substation, two feeders of a line and a load each, one switched off.

Written by hand after the standard's profiles, so that the tests need nobody's sample files.
"""

from pathlib import Path

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:cim="http://iec.ch/TC57/2013/CIM-schema-cim16#"
 xmlns:md="http://iec.ch/TC57/61970-552/ModelDescription/1#"
 xmlns:entsoe="http://entsoe.eu/CIM/SchemaExtension/3/1#">
 <md:FullModel rdf:about="urn:uuid:{model}"><md:Model.profile>{profile}</md:Model.profile></md:FullModel>
"""
_CIM = "http://iec.ch/TC57/2013/CIM-schema-cim16#"
_PROFILES = {
    "EQ": "http://entsoe.eu/CIM/EquipmentCore/3/1",
    "SSH": "http://entsoe.eu/CIM/SteadyStateHypothesis/1/1",
}


def _element(kind: str, name: str, about: bool, fields: dict[str, object]) -> str:
    """An element; a field that begins with # refers to another one, one with : to a value of an enumeration."""
    lines = []
    for field, value in fields.items():
        if isinstance(value, str) and value.startswith("#"):
            lines.append(f'  <cim:{field} rdf:resource="#_{value[1:]}"/>')
        elif isinstance(value, str) and value.startswith(":"):
            lines.append(f'  <cim:{field} rdf:resource="{_CIM}{value[1:]}"/>')
        else:
            lines.append(
                f"  <cim:{field}>{str(value).lower() if isinstance(value, bool) else value}</cim:{field}>"
            )
    identity = f'rdf:about="#_{name}"' if about else f'rdf:ID="_{name}"'
    return "\n".join((f" <cim:{kind} {identity}>", *lines, f" </cim:{kind}>"))


def _equipment() -> list[tuple[str, str, dict[str, object]]]:
    def named(name: str, **more: object) -> dict[str, object]:
        return {"IdentifiedObject.name": name} | {
            key.replace("__", "."): value for key, value in more.items()
        }

    rows: list[tuple[str, str, dict[str, object]]] = [
        ("GeographicalRegion", "region", named("Lazio")),
        ("SubGeographicalRegion", "subregion", named("Rome", SubGeographicalRegion__Region="#region")),
        ("Substation", "substation", named("CP 1", Substation__Region="#subregion")),
    ]
    for level, kv in (("mv", 20), ("lv", 0.4)):
        rows.append(("BaseVoltage", f"base_{level}", named(f"{kv} kV", BaseVoltage__nominalVoltage=kv)))
        rows.append(
            (
                "VoltageLevel",
                f"level_{level}",
                named(
                    f"level {level}",
                    VoltageLevel__Substation="#substation",
                    VoltageLevel__BaseVoltage=f"#base_{level}",
                ),
            )
        )
    nodes = {"mv": "mv", "busbar": "lv", "head_a": "lv", "head_b": "lv", "end_a": "lv", "end_b": "lv"}
    for node, level in nodes.items():
        container = f"#level_{level}"
        rows.append(
            (
                "ConnectivityNode",
                node,
                named(f"bus {node}", ConnectivityNode__ConnectivityNodeContainer=container),
            )
        )
    rows.append(
        (
            "ExternalNetworkInjection",
            "grid",
            named("PoM 1", RegulatingCondEq__RegulatingControl="#control"),
        )
    )
    rows.append(
        (
            "RegulatingControl",
            "control",
            named("voltage", RegulatingControl__mode=":RegulatingControlModeKind.voltage"),
        )
    )
    rows.append(("PowerTransformer", "trafo", named("trafo 1")))
    for number, (level, kv) in enumerate((("mv", 20), ("lv", 0.4)), 1):
        impedance = (
            {"r": 5.88, "x": 23.28, "g": 1e-6, "b": -2e-6} if number == 1 else dict.fromkeys("rxgb", 0)
        )
        rows.append(
            (
                "PowerTransformerEnd",
                f"end_{level}",
                named(f"winding {level}")
                | {
                    "PowerTransformerEnd.PowerTransformer": "#trafo",
                    "TransformerEnd.endNumber": number,
                    "TransformerEnd.Terminal": f"#t_trafo_{number}",
                    "TransformerEnd.BaseVoltage": f"#base_{level}",
                    "PowerTransformerEnd.ratedS": 0.4,
                    "PowerTransformerEnd.ratedU": kv,
                    "PowerTransformerEnd.phaseAngleClock": 0,
                }
                | {f"PowerTransformerEnd.{key}": value for key, value in impedance.items()},
            )
        )
    rows.append(
        (
            "RatioTapChanger",
            "taps",
            named("taps")
            | {
                "RatioTapChanger.TransformerEnd": "#end_mv",
                "TapChanger.neutralStep": 0,
                "TapChanger.lowStep": -2,
                "TapChanger.highStep": 2,
                "RatioTapChanger.stepVoltageIncrement": 2.5,
                "TapChanger.neutralU": 20,
            },
        )
    )
    ends: dict[str, tuple[str, ...]] = {"grid": ("mv",), "trafo": ("mv", "busbar")}
    for feeder in "ab":
        rows.append(("Breaker", f"switch_{feeder}", named(f"switch {feeder}", Switch__normalOpen=False)))
        rows.append(
            (
                "ACLineSegment",
                f"line_{feeder}",
                named(f"line {feeder}", ConductingEquipment__BaseVoltage="#base_lv")
                | {
                    "Conductor.length": 0.2,
                    "ACLineSegment.r": 0.0642,
                    "ACLineSegment.x": 0.0166,
                    "ACLineSegment.bch": 1.3e-5,
                    "ACLineSegment.gch": 0,
                },
            )
        )
        rows.append(("EnergyConsumer", f"load_{feeder}", named(f"load {feeder}")))
        rows.append(
            (
                "OperationalLimitSet",
                f"limits_{feeder}",
                named("limits", OperationalLimitSet__Terminal=f"#t_line_{feeder}_1"),
            )
        )
        rows.append(
            (
                "CurrentLimit",
                f"limit_{feeder}",
                named(
                    "limit",
                    OperationalLimit__OperationalLimitSet=f"#limits_{feeder}",
                    CurrentLimit__value=142,
                ),
            )
        )
        ends |= {
            f"switch_{feeder}": ("busbar", f"head_{feeder}"),
            f"line_{feeder}": (f"head_{feeder}", f"end_{feeder}"),
            f"load_{feeder}": (f"end_{feeder}",),
        }
    for equipment, at in ends.items():
        for number, node in enumerate(at, 1):
            rows.append(
                (
                    "Terminal",
                    f"t_{equipment}_{number}",
                    named(f"terminal {equipment} {number}")
                    | {
                        "Terminal.ConductingEquipment": f"#{equipment}",
                        "Terminal.ConnectivityNode": f"#{node}",
                        "ACDCTerminal.sequenceNumber": number,
                    },
                )
            )
    return rows


def _state(equipment: list[tuple[str, str, dict[str, object]]]) -> list[tuple[str, str, dict[str, object]]]:
    rows: list[tuple[str, str, dict[str, object]]] = [
        (kind, name, {"ACDCTerminal.connected": True}) for kind, name, _ in equipment if kind == "Terminal"
    ]
    rows += [
        (
            "ExternalNetworkInjection",
            "grid",
            {
                "ExternalNetworkInjection.p": 0,
                "ExternalNetworkInjection.q": 0,
                "ExternalNetworkInjection.referencePriority": 1,
                "RegulatingCondEq.controlEnabled": True,
            },
        ),
        (
            "RegulatingControl",
            "control",
            {"RegulatingControl.enabled": True, "RegulatingControl.targetValue": 20.2},
        ),
        ("RatioTapChanger", "taps", {"TapChanger.step": 1, "TapChanger.controlEnabled": False}),
        ("Breaker", "switch_a", {"Switch.open": False}),
        ("Breaker", "switch_b", {"Switch.open": True}),
        ("EnergyConsumer", "load_a", {"EnergyConsumer.p": 0.03, "EnergyConsumer.q": 0.01}),
        ("EnergyConsumer", "load_b", {"EnergyConsumer.p": 0, "EnergyConsumer.q": 0}),
    ]
    return rows


def write_cgmes(folder: Path, without: str = "") -> None:
    """EQ.xml and SSH.xml into a folder. `without`: an element that is left out of EQ."""
    equipment = [row for row in _equipment() if row[1] != without]
    for profile, about, rows in (("EQ", False, equipment), ("SSH", True, _state(equipment))):
        body = "\n".join(_element(kind, name, about, fields) for kind, name, fields in rows)
        head = _HEAD.format(model=profile.lower(), profile=_PROFILES[profile])
        (folder / f"{profile}.xml").write_text(f"{head}{body}\n</rdf:RDF>\n")
