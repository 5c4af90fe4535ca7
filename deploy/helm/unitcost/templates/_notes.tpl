{{- define "unitcost.notes" -}}
unitcost {{ .Chart.AppVersion }} ({{ .Values.mode }}). What to look at next:
{{ include (printf "unitcost.notes.%s" .Values.mode) . }}
{{- if and (not .Values.config.price) (ne .Values.mode "deployment") }}
* Nothing has a price yet: set `config.price` (docs/prices.md). Until then seconds and tokens are counted, and no dollars.
{{- end }}
{{- if eq .Values.image.repository "unitcost" }}
* `image.repository` is the image's bare name: nodes can pull it only if it is in a registry. Build it from the Dockerfile, push
  it, and set `image.repository`.
{{- end }}
{{- if and (eq .Values.mode "daemonset") .Values.dashboards.enabled }}
* Dashboards are in config maps with the label {{ .Values.dashboards.label }}: Grafana's sidecar must watch this namespace.
{{- end }}
{{- end -}}

{{- define "unitcost.notes.daemonset" }}
{{- $name := include "unitcost.fullname" . }}
* Is there one agent on each GPU node?
    kubectl -n {{ .Release.Namespace }} rollout status daemonset/{{ $name }}
    kubectl -n {{ .Release.Namespace }} get pods -o wide -l app.kubernetes.io/instance={{ .Release.Name }}
  None, and "forbidden: violates PodSecurity": the namespace must allow hostPath and user 0:
    kubectl label namespace {{ .Release.Namespace }} pod-security.kubernetes.io/enforce=privileged
  {{- if and .Values.nvidia.enabled .Values.nvidia.runtimeClassName }}
  None, and "RuntimeClass {{ .Values.nvidia.runtimeClassName | quote }} not found": set `nvidia.runtimeClassName` to "" or to what `kubectl get runtimeclass` has.
  {{- end }}
* What does it see there, and what is the mend of what it does not?
    kubectl -n {{ .Release.Namespace }} exec daemonset/{{ $name }} -- unitcost doctor --config /etc/unitcost/unitcost.yaml
* What does it cost?
    kubectl -n {{ .Release.Namespace }} port-forward daemonset/{{ $name }} {{ .Values.web.port }}   # then http{{ if .Values.web.tls }}s{{ end }}://127.0.0.1:{{ .Values.web.port }}/
{{- if not .Values.host.pid }}
* GPUs that several pods share are split equally: `host.pid` lets the agent see whose SM time it was.
{{- end }}
{{- if not (or .Values.podMonitor.enabled .Values.serviceMonitor.enabled) }}
* Nobody scrapes it yet: set `podMonitor.enabled`, or let Prometheus relabel `instance` to the node's name itself.
{{- end }}
{{- end -}}

{{- define "unitcost.notes.sidecar" }}
* Nothing runs yet. In your own chart, which has this one as a dependency:
    spec:
      {{ "{{-" }} include "unitcost.sidecar" (dict "unitcost" .Subcharts.unitcost "pod" (include "mine.pod" . | fromYaml)) | nindent 6 }}
  and in the pod's metadata the labels of "unitcost.sidecar.labels" and the annotations of "unitcost.sidecar.annotations".
* In a pod that no chart of yours makes, put this beside its containers{{ if include "unitcost.sidecar.native" . }}, under initContainers{{ end }}, with the volumes below it:
{{ list (include "unitcost.sidecar.container" (list . false (dict "pod" (dict "containers" list) "workload" "")) | fromYaml) | toYaml | indent 4 }}
    volumes:
{{ include "unitcost.sidecar.volumes" (list . false) | indent 4 }}
* What does it see?
    kubectl exec POD -c unitcost -- unitcost doctor --config /etc/unitcost/unitcost.yaml
{{- end -}}

{{- define "unitcost.notes.deployment" }}
{{- $name := include "unitcost.fullname" . }}
* Is it ready? It is not while the database is away.
    kubectl -n {{ .Release.Namespace }} rollout status deployment/{{ $name }}
* The image must be the one with PostgreSQL in it: `--target report` of the Dockerfile.
{{- if .Values.deployment.ingress.enabled }}
* Agents, in their own release:
    central: {url: "https://{{ .Values.deployment.ingress.host }}", secret: THE_AGENT_S_TOKEN}
{{- else if .Values.web.tls }}
* Agents, in their own release, if the certificate has this name and `central.caSecret` vouches for it:
    central: {url: "https://{{ $name }}.{{ .Release.Namespace }}.svc:{{ .Values.deployment.port }}", secret: THE_AGENT_S_TOKEN}
{{- else }}
* Agents send over https alone, and nothing ends TLS yet: set `web.configSecret` and `web.tls`, or `deployment.ingress`, to
  {{ $name }}.{{ .Release.Namespace }}.svc:{{ .Values.deployment.port }}.
{{- end }}
* Who delivers, and who is late? `unitcost_fleet_agents` and `unitcost_fleet_agents_late` of
    kubectl -n {{ .Release.Namespace }} port-forward deployment/{{ $name }} {{ .Values.deployment.port }}
{{- end -}}
