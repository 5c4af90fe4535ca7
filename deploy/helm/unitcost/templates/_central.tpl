{{/* The fleet's ledger, and its report: pods that need nothing of a node. */}}
{{- define "unitcost.central.pod" -}}
serviceAccountName: {{ include "unitcost.serviceAccountName" . }}
automountServiceAccountToken: false
{{ include "unitcost.podFields" . }}
securityContext:
  runAsNonRoot: true
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
affinity:
  {{- .Values.affinity | default (include "unitcost.apart" . | fromYaml) | toYaml | nindent 2 }}
{{- end -}}

{{- define "unitcost.apart" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "unitcost.selector" . | nindent 12 }}
{{- end -}}

{{/* Of volumes or mounts, all but the agents' tokens and the server's key: a report needs neither. */}}
{{- define "unitcost.report.part" -}}
{{- range . }}
{{- if not (has .name (list "secret-tokens" "secret-web")) }}
{{ list . | toYaml }}
{{- end }}
{{- end }}
{{- end -}}
