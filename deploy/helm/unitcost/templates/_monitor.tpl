{{/* One endpoint of a PodMonitor or ServiceMonitor; the argument's second part is the port's name. */}}
{{- define "unitcost.endpoint" -}}
{{- $port := index . 1 -}}
{{- with index . 0 -}}
port: {{ $port }}
path: /metrics
scheme: {{ ternary "https" "http" .Values.web.tls }}
interval: {{ .Values.podMonitor.interval }}
scrapeTimeout: {{ .Values.podMonitor.scrapeTimeout }}
{{- with .Values.podMonitor.basicAuthSecret }}
basicAuth:
  username: {name: {{ . }}, key: username}
  password: {name: {{ . }}, key: password}
{{- end }}
{{- with .Values.podMonitor.tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
relabelings:
  {{- if eq .Values.mode "daemonset" }}
  # Counters go on with the node's ledger, so a new pod's series must be those of the old one.
  - sourceLabels: [__meta_kubernetes_pod_node_name]
    targetLabel: instance
  - {action: labeldrop, regex: pod}
  {{- else }}
  - sourceLabels: [__meta_kubernetes_namespace, __meta_kubernetes_pod_name]
    separator: /
    targetLabel: instance
  {{- end }}
{{- end }}
{{- end -}}

{{- define "unitcost.limits" -}}
{{- with .Values.podMonitor -}}
sampleLimit: {{ .sampleLimit | int }}
labelLimit: {{ .labelLimit | int }}
labelNameLengthLimit: {{ .labelNameLengthLimit | int }}
labelValueLengthLimit: {{ .labelValueLengthLimit | int }}
{{- end }}
{{- end -}}

{{- define "unitcost.monitorMetadata" -}}
{{- $labels := index . 1 -}}
{{- with index . 0 -}}
{{ include "unitcost.metadata" . }}
{{- end }}
{{- with $labels }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
