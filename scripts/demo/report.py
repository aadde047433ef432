"""The day's report: a self-contained page with plots as inline SVG, and the table that the demo prints."""

import io
from pathlib import Path

import matplotlib
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from matplotlib.figure import Figure
from rich.table import Table

from scripts.demo.figures import DayFigures

matplotlib.use("svg")

BLUE, ORANGE, GREEN, RED, GREY = "#2f5d8a", "#d9822b", "#3d8b5f", "#b5403a", "#8a8f98"
UEUR = 1_000_000


def write_report(figures: DayFigures, path: Path) -> None:
    """Write report.html."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(["html.j2"], default=True),
        undefined=StrictUndefined,
    )
    page = environment.get_template("report.html.j2").render(
        figures=figures,
        rows=table_rows(figures),
        gas=[(name, len(used), sum(used) // len(used), max(used)) for name, used in figures.gas.items()],
        kpis={
            name: "no data" if value is None else f"{100 * value:.0f} %"
            for name, value in figures.kpis.items()
        },
        plots={
            "grid": _grid_plot(figures),
            "merit": _merit_plot(figures),
            "pods": _pods_plot(figures),
            "money": _money_plot(figures),
        },
    )
    path.write_text(page, encoding="utf-8")


def table_rows(figures: DayFigures) -> list[tuple[str, str]]:
    """The table of the day: what, and how much."""
    refused = ", ".join(f"{count} {name}" for name, count in figures.refused.items()) or "none"
    deliveries = ", ".join(f"{count} {name}" for name, count in sorted(figures.deliveries.items()))
    rows = [
        *((f"Own means first, session {each.session}", each.told) for each in figures.own_means),
        ("Violations before", f"{figures.before.violations} ({'; '.join(figures.before_summary) or 'none'})"),
        (
            "Violations after, as measured (in real time on its grid model)",
            f"{figures.after.violations} ({'; '.join(figures.after_summary) or 'none'})",
        ),
        ("Requested", _kwh_by(figures.requested_wh)),
        ("Offered", _kwh(figures.offered_wh)),
        ("Accepted", _kwh_by(figures.accepted_wh)),
        ("Offers not accepted, and why", refused),
        ("Delivered", f"{_kwh(figures.delivered_wh)} ({deliveries})"),
    ]
    for name, money in figures.money.items():
        amounts = f"{_euro(money.paid_ueur)} paid, {_euro(money.penalised_ueur)} penalised"
        rows.append((f"Aggregator {name}", f"{amounts}, {money.tokens / UEUR:.2f} tokens to its customers"))
    real_time = figures.real_time
    rows.append(
        (
            f"Real time, session {real_time.session}",
            f"before: {'; '.join(real_time.before_summary) or 'no violation'}; "
            f"{_kwh(real_time.accepted_wh)} accepted, {_euro(real_time.paid_ueur)} paid; "
            f"as measured: {'; '.join(real_time.after_summary) or 'no violation'}",
        )
    )
    rows.append(("Readings", f"{figures.readings} signed, anchored in {figures.anchored_batches} batches"))
    return rows


def console_table(figures: DayFigures) -> Table:
    """The table of the day with gas by step, for a terminal."""
    table = Table(title=f"{figures.grid}, {figures.day}, session {figures.session}", show_header=False)
    for what, much in table_rows(figures):
        table.add_row(what, much)
    for name, used in figures.gas.items():
        table.add_row(f"Gas of {name}", f"{len(used)} × {sum(used) // len(used):,} (most {max(used):,})")
    for name, value in figures.kpis.items():
        table.add_row(name, "no data" if value is None else f"{100 * value:.0f} %")
    return table


def _kwh(energy_wh: int) -> str:
    return f"{energy_wh / 1000:,.1f} kWh"


def _kwh_by(by_operator: dict[str, int]) -> str:
    return ", ".join(f"{name} {_kwh(energy_wh)}" for name, energy_wh in by_operator.items())


def _euro(amount_ueur: int) -> str:
    return f"{amount_ueur / UEUR:.2f} €"


def _svg(figure: Figure) -> str:
    figure.tight_layout()
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue().partition("<svg")[1] + out.getvalue().partition("<svg")[2]


def _hours(slots: int) -> list[float]:
    return [slot / 4 for slot in range(slots)]


def _grid_plot(figures: DayFigures) -> str:
    figure = Figure(figsize=(10, 6))
    loading, voltage = figure.subplots(2, 1, sharex=True)
    hours = _hours(len(figures.before.loading_percent))
    for day, colour, label in (
        (figures.before, RED, "without flexibility"),
        (figures.after, GREEN, "as measured"),
    ):
        loading.plot(hours, day.loading_percent, color=colour, label=label)
        voltage.plot(hours, day.vm_max_pu, color=colour, label=f"highest, {label}")
        voltage.plot(hours, day.vm_min_pu, color=colour, linestyle=":", label=f"lowest, {label}")
    loading.axhline(figures.limits["loading_percent"], color=GREY, linestyle="--")
    for limit in ("vm_min_pu", "vm_max_pu"):
        voltage.axhline(figures.limits[limit], color=GREY, linestyle="--")
    loading.set_ylabel("highest loading of any\nline or transformer, %")
    voltage.set_ylabel("voltage, per unit")
    voltage.set_xlabel("hours from the session's start")
    for axes in (loading, voltage):
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    return _svg(figure)


def _merit_plot(figures: DayFigures) -> str:
    figure = Figure(figsize=(10, 3.6))
    axes = figure.subplots()
    start = 0.0
    for offer in sorted(figures.merit_order, key=lambda entry: entry.delivered_ueur_per_kw):
        width, taken = offer.power_w / 1000, offer.accepted_w / 1000
        price = offer.delivered_ueur_per_kw / UEUR
        axes.bar(start, price, width=taken, align="edge", color=BLUE, edgecolor="white", linewidth=0.5)
        axes.bar(
            start + taken,
            price,
            width=width - taken,
            align="edge",
            color="#d5dbe3",
            edgecolor="white",
            linewidth=0.5,
        )
        start += width
    needed = figures.merit_order_needed_w / 1000
    axes.axvline(needed, color=RED, linestyle="--", label=f"needed: {needed:.0f} kW at effectiveness 1")
    axes.set_xlabel(f"kW offered in quarter-hour {figures.merit_order_slot} (blue: accepted)")
    axes.set_ylabel("€ per kW and quarter-hour, with grid fees")
    axes.legend(fontsize=8)
    return _svg(figure)


def _pods_plot(figures: DayFigures) -> str:
    figure = Figure(figsize=(10, 2.6 * max(1, len(figures.shown_pods))))
    rows = figure.subplots(max(1, len(figures.shown_pods)), 1, sharex=True, squeeze=False)
    for (axes,), pod in zip(rows, figures.shown_pods, strict=False):
        hours = _hours(len(pod.baseline_w))
        axes.step(hours, [w / 1000 for w in pod.baseline_w], where="post", color=GREY, label="baseline")
        axes.step(hours, [w / 1000 for w in pod.measured_w], where="post", color=BLUE, label="measured")
        ordered = [float("nan") if w is None else w / 1000 for w in pod.set_point_w]
        axes.step(hours, ordered, where="post", color=ORANGE, linewidth=2, alpha=0.7, label="set point")
        axes.set_title(f"{pod.pod_id}: {pod.behaviour}", fontsize=9, loc="left")
        axes.set_ylabel("net kW")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    rows[-1][0].set_xlabel("hours from the session's start")
    return _svg(figure)


def _money_plot(figures: DayFigures) -> str:
    figure = Figure(figsize=(10, 3))
    axes = figure.subplots()
    names = list(figures.money)
    series = (
        ("paid by DSO and TSO, €", BLUE, [figures.money[name].paid_ueur for name in names]),
        ("penalties to DSO and TSO, €", RED, [figures.money[name].penalised_ueur for name in names]),
        ("tokens to customers", GREEN, [figures.money[name].tokens for name in names]),
    )
    for offset, (label, colour, amounts) in enumerate(series):
        places = [place + 0.25 * offset for place in range(len(names))]
        bars = axes.bar(places, [amount / UEUR for amount in amounts], width=0.22, color=colour, label=label)
        axes.bar_label(bars, fmt="%.2f", fontsize=8)
    axes.set_xticks([place + 0.25 for place in range(len(names))], names)
    axes.margins(y=0.15)
    axes.legend(fontsize=8)
    return _svg(figure)
