{{/*
A pod's spec with an agent beside its containers:

  {{ include "unitcost.sidecar" (dict "unitcost" .Subcharts.unitcost "pod" (include "mine.pod" . | fromYaml)) }}

`pod` is the spec as it would be without; what is given back is YAML. Nothing of yours is changed but
for what is added: a container, its volumes, and `automountServiceAccountToken: false` unless you
say otherwise. A third key, `workload`, says what the pod is charged as, such as `default/Deployment/chat`.
*/}}
{{- define "unitcost.sidecar" -}}
{{- $own := .unitcost -}}
{{- $pod := deepCopy .pod -}}
{{- if ne $own.Values.mode "sidecar" }}{{ fail "unitcost.sidecar: set mode: sidecar among the values of unitcost" }}{{ end -}}
{{- $token := dig "automountServiceAccountToken" false $pod -}}
{{- $said := dict "pod" $pod "workload" (default "" .workload) -}}
{{- $container := include "unitcost.sidecar.container" (list $own $token $said) | fromYaml -}}
{{- if include "unitcost.sidecar.native" $own -}}
{{- $_ := set $pod "initContainers" (append (default list $pod.initContainers) $container) -}}
{{- else -}}
{{- $_ := set $pod "containers" (append $pod.containers $container) -}}
{{- end -}}
{{- $volumes := include "unitcost.sidecar.volumes" (list $own $token) | fromYamlArray -}}
{{- $_ := set $pod "volumes" (concat (default list $pod.volumes) $volumes) -}}
{{- $_ := set $pod "automountServiceAccountToken" $token -}}
{{- if $own.Values.sidecar.shareProcessNamespace }}{{ $_ := set $pod "shareProcessNamespace" true }}{{ end -}}
{{- toYaml $pod -}}
{{- end -}}

{{/*
For the metadata of such a pod: by the label it is scraped, by the checksum it follows our configuration,
and with scope `units` the node's agent leaves its units to us.
*/}}
{{- define "unitcost.sidecar.labels" -}}
unitcost.io/sidecar: "true"
{{- end -}}

{{- define "unitcost.sidecar.annotations" -}}
checksum/unitcost: {{ include "unitcost.config" . | sha256sum }}
{{- if eq .Values.sidecar.scope "units" }}
unitcost.io/units: sidecar
{{- end }}
{{- end -}}

{{- define "unitcost.sidecar.native" -}}
{{- $known := semverCompare ">=1.29-0" .Capabilities.KubeVersion.Version -}}
{{- if or (eq .Values.sidecar.native "always") (and (eq .Values.sidecar.native "auto") $known) }}true{{ end -}}
{{- end -}}

{{/*
No readiness and no startup probe: they would keep the pod out of its service, and what comes after
a sidecar from starting, for our sake. A token that others in the pod need is hidden from us.
*/}}
{{- define "unitcost.sidecar.container" -}}
{{- $token := index . 1 -}}
{{- $said := index . 2 -}}
{{- $own := index . 0 -}}
{{- with index . 0 -}}
name: unitcost
{{ include "unitcost.image.fields" . }}
args: [run, --config, /etc/unitcost/unitcost.yaml]
{{- if include "unitcost.sidecar.native" . }}
restartPolicy: Always
{{- end }}
env:
  {{- include "unitcost.sidecar.env" $said | nindent 2 }}
  {{- with and .Values.nvidia.enabled .Values.sidecar.visibleDevices }}
  - name: NVIDIA_VISIBLE_DEVICES
    value: {{ . | quote }}
  - name: NVIDIA_DRIVER_CAPABILITIES
    value: {{ $own.Values.nvidia.driverCapabilities | quote }}
  {{- end }}
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - name: unitcost
    containerPort: {{ .Values.web.port }}
    protocol: TCP
{{ include "unitcost.liveness" . }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- include "unitcost.restricted" . | nindent 2 }}
volumeMounts:
  {{- include "unitcost.volumeMounts" . | nindent 2 }}
  - name: unitcost-ledger
    mountPath: /var/lib/unitcost
  {{- if .Values.training.enabled }}
  - name: unitcost-training
    mountPath: /run/unitcost/train
    readOnly: true
  {{- end }}
  {{- if $token }}
  - name: unitcost-no-token
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
  {{- end }}
{{- end }}
{{- end -}}

{{/* What the pod says of itself: its names, and what its containers request and were given. */}}
{{- define "unitcost.sidecar.env" -}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_UID
  valueFrom: {fieldRef: {fieldPath: metadata.uid}}
{{- with .workload }}
- name: UNITCOST_POD_WORKLOAD
  value: {{ . | quote }}
{{- end }}
{{- $gpus := 0 }}
{{- range $i, $each := .pod.containers }}
{{- $gpus = add $gpus (dig "resources" "limits" "nvidia.com/gpu" 0 $each | int) }}
- name: UNITCOST_POD_CPU_MILLI_{{ $i }}
  valueFrom: {resourceFieldRef: {containerName: {{ $each.name }}, resource: requests.cpu, divisor: 1m}}
- name: UNITCOST_POD_MEMORY_BYTES_{{ $i }}
  valueFrom: {resourceFieldRef: {containerName: {{ $each.name }}, resource: requests.memory, divisor: "1"}}
{{- end }}
- name: UNITCOST_POD_CPU_MILLI_UNITCOST
  valueFrom: {resourceFieldRef: {containerName: unitcost, resource: requests.cpu, divisor: 1m}}
- name: UNITCOST_POD_MEMORY_BYTES_UNITCOST
  valueFrom: {resourceFieldRef: {containerName: unitcost, resource: requests.memory, divisor: "1"}}
{{- if .pod.containers }}
- name: UNITCOST_POD_GPUS
  value: {{ $gpus | quote }}
{{- end }}
{{- end -}}

{{- define "unitcost.sidecar.volumes" -}}
{{- $token := index . 1 -}}
{{- with index . 0 -}}
{{ include "unitcost.volumes" . }}
- name: unitcost-ledger
  emptyDir: {{ include "unitcost.emptyDir" . }}
{{- if .Values.training.enabled }}
- name: unitcost-training
  emptyDir: {}
{{- end }}
{{- if $token }}
- name: unitcost-no-token
  emptyDir: {}
{{- end }}
{{- end }}
{{- end -}}
