"""What Alertmanager needs: an example of its configuration, and how a message reads in Slack.

Both are for Alertmanager 0.25 and newer. Nothing is left to its defaults that differs between them
(the colour), and a webhook of Slack's has its own channel and name, so neither is given.
"""

from typing import Any

from unitcost.dashboards.settings import Settings

RECEIVER, OTHERS = "unitcost-slack", "others"
TEMPLATE = "unitcost.tmpl"
HOST = ["cluster", "job", "instance"]
HOSTS_DATA = (
    "CostDataStale",
    "CollectorDown",
    "ConservationBroken",
    "HostUnpriced",
    "PriceStale",
    "PriceSourceDown",
    "SpotAboveOnDemand",
)
"""What is told of a host by its exporter, and means nothing when that is away."""


def alertmanager(settings: Settings) -> dict[str, Any]:
    """The content of an example ``alertmanager.yml``."""
    return {
        "templates": [TEMPLATE],
        "route": {
            "receiver": OTHERS,
            "routes": [
                {
                    "matchers": ['alertname =~ "Unitcost.+"'],
                    "receiver": RECEIVER,
                    "group_by": ["alertname", "cluster", "workload", "model"],
                    "group_wait": settings.span(settings.group_wait),
                    "group_interval": settings.span(settings.group_interval),
                    "repeat_interval": settings.span(settings.repeat_interval),
                }
            ],
        },
        "inhibit_rules": [
            _quiet(("DriftTotal",), ("DriftFast", "DriftSlow", "IdleDrift"), _WORKLOAD),
            _quiet(HOSTS_DATA, ("ExporterDown",), HOST),
            _quiet(("BudgetBurnFast", "BudgetBurnSlow"), ("BudgetExceeded",), _BUDGET),
            _quiet(("BudgetBurnSlow",), ("BudgetBurnFast",), _BUDGET),
        ],
        "receivers": [
            {"name": OTHERS},
            {"name": RECEIVER, "slack_configs": [_slack(settings)]},
        ],
    }


_WORKLOAD = ["cluster", "workload", "model"]
_BUDGET = ["cluster", "budget"]


def _quiet(targets: tuple[str, ...], sources: tuple[str, ...], equal: list[str]) -> dict[str, Any]:
    """The targets are not told while one of the sources fires with the same labels."""

    def named(names: tuple[str, ...]) -> list[str]:
        any_of = "|".join(f"Unitcost{name}" for name in names)
        return [f'alertname =~ "{any_of}"']

    return {
        "source_matchers": named(sources),
        "target_matchers": named(targets),
        "equal": list(equal),
    }


def _slack(settings: Settings) -> dict[str, Any]:
    def made(name: str) -> str:
        return f'{{{{ template "unitcost.slack.{name}" . }}}}'

    return {
        "api_url_file": settings.slack_url_file,
        "send_resolved": True,
        "color": made("color"),
        "title": made("title"),
        "title_link": made("link"),
        "fallback": made("title"),
        "text": made("text"),
    }


SLACK = r"""
{{ define "unitcost.escaped" -}}
{{ . | reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;" }}
{{- end }}

{{ define "unitcost.slack.color" -}}
{{ $color := "#439fe0" -}}
{{ if eq .Status "resolved" }}{{ $color = "#2eb67d" }}{{ end -}}
{{ range .Alerts.Firing }}{{ if eq .Labels.severity "warning" }}{{ $color = "#daa038" }}{{ end }}{{ end -}}
{{ range .Alerts.Firing }}{{ if eq .Labels.severity "critical" }}{{ $color = "#d72b3f" }}{{ end }}{{ end -}}
{{ $color }}
{{- end }}

{{ define "unitcost.slack.title" -}}
{{ with index .Alerts 0 -}}
{{ if eq .Status "resolved" }}Over: {{ end }}{{ template "unitcost.escaped" .Annotations.summary }}
{{- end }}{{ if gt (len .Alerts) 1 }} (and others, {{ len .Alerts }} in all){{ end }}
{{- end }}

{{ define "unitcost.slack.link" -}}
{{ with (index .Alerts 0).Annotations.dashboard_url }}{{ if match "^https?://" . }}{{ . }}{{ end }}{{ end }}
{{- end }}

{{ define "unitcost.slack.text" -}}
{{ $alerts := .Alerts -}}
{{ range $number, $alert := $alerts }}{{ if lt $number 10 -}}
{{ if $number }}

*{{ if eq .Status "resolved" }}Over: {{ end }}{{ template "unitcost.escaped" .Annotations.summary }}*
{{ end -}}
{{ template "unitcost.slack.alert" . }}
{{- end }}{{ end }}
{{- if gt (len $alerts) 10 }}

Only 10 of {{ len $alerts }} are shown.
{{- end }}
{{- end }}

{{ define "unitcost.slack.alert" -}}
{{ if eq .Status "resolved" -}}
Over since {{ .EndsAt.UTC.Format "2006-01-02 15:04 UTC" }}, after {{ (.EndsAt.Sub .StartsAt).Round 1000000000 }}.
{{- else }}{{ template "unitcost.escaped" .Annotations.description }}{{ end }}
{{ with .Annotations.dashboard_url }}{{ if match "^https?://" . }}<{{ template "unitcost.escaped" . }}|Dashboard> · {{ end }}{{ end -}}
{{ with .Annotations.runbook_url }}{{ if match "^https?://" . }}<{{ template "unitcost.escaped" . }}|What to do>
{{- else }}What to do: {{ template "unitcost.escaped" . }}{{ end }}{{ end -}}
{{ with .Labels.owner }} · owner {{ template "unitcost.escaped" . }}{{ end -}}
{{ with .Labels.cluster }} · cluster {{ template "unitcost.escaped" . }}{{ end -}}
{{ end }}
"""  # noqa: E501 - a line break in a template is one in the message
