"""What the configuration says of money that is not the host's, in the pricing core's types."""

from dataclasses import dataclass

from unitcost.exporter.config.planned import budget_of, item_of, trained_model_of
from unitcost.exporter.config.settings import Settings
from unitcost.pricing.budget import Budget
from unitcost.pricing.items import Item
from unitcost.pricing.money import to_pico
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.trained import TrainedModel

SHOWN_FIRST_NS = 120 * NS_PER_SECOND
"""How long a new series of items is shown at 0 before anything is booked on it.

A counter that begins at its first amount never increased, as Prometheus sees it.
"""


@dataclass(frozen=True, slots=True)
class Planning:
    """`file_items`: those of the items' file, None until it was read for the first time.

    `forgone_pico_per_hour`: what an idle GPU's hour is worth, None where there is no memo of it.
    """

    items: tuple[Item, ...] = ()
    file_items: tuple[Item, ...] | None = ()
    trained_models: tuple[TrainedModel, ...] = ()
    forgone_pico_per_hour: int | None = None
    budgets: tuple[Budget, ...] = ()
    shown_first_ns: int = SHOWN_FIRST_NS


def planning_of(settings: Settings) -> Planning:
    """From checked settings; the items' file is not read here."""
    opportunity = settings.opportunity
    forgone = None if opportunity is None else to_pico(opportunity.usd_per_gpu_hour)
    return Planning(
        items=tuple(item_of(item) for item in settings.items),
        file_items=None if settings.items_file else (),
        trained_models=tuple(trained_model_of(model) for model in settings.trained_models),
        forgone_pico_per_hour=forgone,
        budgets=tuple(budget_of(budget, settings.timezone) for budget in settings.budgets),
        shown_first_ns=round(SHOWN_FIRST_NS / settings.time_scale),
    )
