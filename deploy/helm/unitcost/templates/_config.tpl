{{/* unitcost.yaml: what follows from the mode and from what is mounted, under what `config` says. */}}
{{- define "unitcost.config" -}}
{{- $own := include (printf "unitcost.config.%s" .Values.mode) . | fromYaml -}}
{{- $shared := ternary "{}" (include "unitcost.config.shared" .) (eq .Values.mode "deployment") | fromYaml -}}
{{- mergeOverwrite $own $shared (deepCopy .Values.config) | toYaml -}}
{{- end -}}

{{- define "unitcost.config.shared" -}}
web:
  port: {{ .Values.web.port }}
  {{- if .Values.web.configSecret }}
  config_file: /etc/unitcost-secrets/web/{{ .Values.web.configKey }}
  health_without_auth: true
  {{- end }}
{{- with .Values.central }}
{{- if .url }}
central:
  url: {{ .url }}
  token_file: /etc/unitcost-secrets/central/{{ .key }}
  {{- if .caSecret }}
  ca_file: /etc/unitcost-secrets/central-ca/{{ .caKey }}
  {{- end }}
{{- end }}
{{- end }}
{{- if or .Values.notify.slack.secret .Values.notify.webhook.secret }}
notify:
  {{- if .Values.notify.slack.secret }}
  slack_webhook_url_file: /etc/unitcost-secrets/slack/{{ .Values.notify.slack.key }}
  {{- end }}
  {{- if .Values.notify.webhook.secret }}
  webhook_url_file: /etc/unitcost-secrets/webhook/{{ .Values.notify.webhook.key }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* A collector whose source is not mounted is off: it would only report that it sees nothing. */}}
{{- define "unitcost.config.daemonset" -}}
{{- $cgroups := or .Values.host.cgroups .Values.host.sys -}}
{{- if not (dig "ledger" "database_url_file" "" .Values.config) }}
ledger:
  path: /var/lib/unitcost/ledger.db
{{- end }}
collectors:
  host:
    procfs: {{ include "unitcost.procfs" . }}
    {{- if .Values.host.sys }}
    sysfs: /host/sys
    {{- end }}
  nvml:
    enabled: {{ .Values.nvidia.enabled }}
    gpm: {{ .Values.nvidia.profiling }}
  kubernetes:
    enabled: {{ or .Values.kubernetes.podResources .Values.kubernetes.apiServer }}
    cgroups: {{ ternary "/host/sys/fs/cgroup" "/sys/fs/cgroup" $cgroups }}
  cgroups:
    enabled: {{ $cgroups }}
    root: {{ ternary "/host/sys/fs/cgroup" "/sys/fs/cgroup" $cgroups }}
  openmetrics:
    procfs: {{ include "unitcost.procfs" . }}
    discover: {{ .Values.host.network }}
    discover_pods: {{ .Values.kubernetes.apiServer }}
  training:
    enabled: {{ .Values.training.enabled }}
    procfs: {{ include "unitcost.procfs" . }}
    directories: [/run/unitcost/train]
  trainjob:
    enabled: {{ .Values.kubernetes.trainJobs }}
  rapl:
    enabled: {{ .Values.host.sys }}
    sysfs: /host/sys
  node_power:
    enabled: {{ .Values.host.sys }}
    sysfs: /host/sys
{{- end -}}

{{- define "unitcost.procfs" -}}
{{ ternary "/host/proc" "/proc" .Values.host.proc }}
{{- end -}}

{{- define "unitcost.config.sidecar" -}}
host:
  scope: {{ .Values.sidecar.scope }}
{{- if not (dig "ledger" "database_url_file" "" .Values.config) }}
ledger:
  path: /var/lib/unitcost/ledger.db
{{- end }}
collectors:
  kubernetes: {enabled: false}
  trainjob: {enabled: false}
  rapl: {enabled: false}
  node_power: {enabled: false}
  nvml:
    enabled: {{ and .Values.nvidia.enabled (eq .Values.sidecar.scope "pod") }}
  training:
    enabled: {{ .Values.training.enabled }}
    directories: [/run/unitcost/train]
{{- end -}}

{{- define "unitcost.config.deployment" -}}
database_url_file: /etc/unitcost-secrets/database/{{ .Values.deployment.database.key }}
tokens_file: /etc/unitcost-secrets/tokens/{{ .Values.deployment.tokens.key }}
retention_days: {{ .Values.deployment.retentionDays }}
web:
  port: {{ .Values.deployment.port }}
  {{- if .Values.web.configSecret }}
  config_file: /etc/unitcost-secrets/web/{{ .Values.web.configKey }}
  {{- end }}
{{- end -}}
