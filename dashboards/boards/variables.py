"""The variables of the dashboards: what data, which hosts, whose workloads, which unit of money."""

from unitcost.dashboards.boards.library import Variable, grafana
from unitcost.dashboards.boards.query import HOST, WORKLOAD

ON_TIME_CHANGE = 2
HIDDEN = 2
ALL, ANY = ".*", ".+"


def datasource() -> Variable:
    """Which Prometheus, or what is compatible with it."""
    return grafana.Template(
        name="datasource", label="Data source", query="prometheus", type="datasource", hide=0
    )


def chosen(
    name: str, label: str, query: str, all_value: str | None = ALL, multi: bool = True
) -> Variable:
    """Values of a label; with `all_value` None, All is the list of what was found."""
    return grafana.Template(
        name=name,
        label=label,
        query=query,
        dataSource="${datasource}",
        includeAll=True,
        multi=multi,
        allValue=all_value,
        refresh=ON_TIME_CHANGE,
        default="$__all",
    )


def hosts() -> list[Variable]:
    """Data source, cluster, job and instance: of every dashboard."""
    return [
        datasource(),
        chosen("cluster", "Cluster", "label_values(unitcost_build_info, cluster)"),
        chosen("job", "job", 'label_values(unitcost_build_info{cluster=~"$cluster"}, job)', ANY),
        chosen(
            "instance",
            "instance",
            'label_values(unitcost_build_info{cluster=~"$cluster", job=~"$job"}, instance)',
            ANY,
        ),
    ]


def owner() -> Variable:
    """Who answers for a workload."""
    return chosen("owner", "Owner", f"label_values(unitcost_workload_info{{{HOST}}}, owner)")


def workload(kind: str = ".+", multi: bool = True) -> Variable:
    """Workloads of the chosen owners, of one kind."""
    query = f'unitcost_workload_info{{{HOST}, owner=~"$owner", kind=~"{kind}"}}'
    return chosen("workload", "Workload", f"label_values({query}, workload)", None, multi)


def model() -> Variable:
    """Models of the chosen workloads."""
    return chosen("model", "Model", f"label_values(unitcost_requests_total{{{WORKLOAD}}}, model)")


def run() -> Variable:
    """Runs of the chosen trainings."""
    return chosen("run", "Run", f"label_values(unitcost_run_cost_usd{{{WORKLOAD}}}, run)")


def basis() -> Variable:
    """All that was held, or active time alone; the value is which states count."""
    options = [
        {"selected": True, "text": "allocated", "value": "active|idle|loading"},
        {"selected": False, "text": "used", "value": "active"},
    ]
    query = ",".join(f"{each['text']} : {each['value']}" for each in options)
    return grafana.Template(
        name="basis", label="Basis", query=query, type="custom", options=options
    )


def currency() -> Variable:
    """US dollars, and whatever else a host is billed in and has a rate for."""
    found = grafana.Template(
        name="currency",
        label="Currency",
        query="query_result(count by (currency) (unitcost_fx_rate) or "
        'label_replace(vector(1), "currency", "USD", "", ""))',
        dataSource="${datasource}",
        regex='/currency="([^"]+)"/',
        refresh=ON_TIME_CHANGE,
        default="USD",
    )
    return found
