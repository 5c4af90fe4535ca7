{{/* The agent of a node: its container, and what of the host is mounted into it. */}}
{{- define "unitcost.agent" -}}
- name: unitcost
  {{- include "unitcost.image.fields" . | nindent 2 }}
  args: [run, --config, /etc/unitcost/unitcost.yaml]
  env:
    - name: NODE_NAME
      valueFrom:
        fieldRef: {fieldPath: spec.nodeName}
    {{- if .Values.nvidia.enabled }}
    - name: NVIDIA_VISIBLE_DEVICES
      value: {{ .Values.nvidia.visibleDevices | quote }}
    - name: NVIDIA_DRIVER_CAPABILITIES
      value: {{ .Values.nvidia.driverCapabilities | quote }}
    {{- if .Values.nvidia.profiling }}
    - name: NVIDIA_MIG_MONITOR_DEVICES
      value: all
    {{- end }}
    {{- if .Values.nvidia.driverHostPath }}
    - name: LD_LIBRARY_PATH
      value: /usr/local/nvidia/lib64
    {{- end }}
    {{- end }}
    {{- with .Values.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - name: metrics
      containerPort: {{ .Values.web.port }}
      protocol: TCP
  {{- include "unitcost.probes" . | nindent 2 }}
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    {{- include "unitcost.agent.security" . | nindent 4 }}
  volumeMounts:
    {{- include "unitcost.volumeMounts" . | nindent 4 }}
    - name: ledger
      mountPath: /var/lib/unitcost
    {{- range include "unitcost.hostPaths" . | fromYamlArray }}
    - name: {{ .name }}
      mountPath: {{ .mount }}
      readOnly: true
    {{- end }}
{{- end -}}

{{/* Everything is dropped but what a switched-on feature names. */}}
{{- define "unitcost.agent.security" -}}
readOnlyRootFilesystem: true
runAsUser: {{ .Values.security.runAsUser }}
{{- if .Values.security.privileged }}
privileged: true
{{- else }}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
  {{- with include "unitcost.capabilities" . | fromJsonArray }}
  add: {{ toJson . }}
  {{- end }}
{{- end }}
{{- with .Values.security.seLinuxType }}
seLinuxOptions: {type: {{ . }}}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "unitcost.capabilities" -}}
{{- $add := list -}}
{{- if and .Values.nvidia.enabled .Values.nvidia.profiling }}{{ $add = append $add "SYS_ADMIN" }}{{ end -}}
{{- if .Values.security.sysPtrace }}{{ $add = append $add "SYS_PTRACE" }}{{ end -}}
{{- if .Values.security.dacReadSearch }}{{ $add = append $add "DAC_READ_SEARCH" }}{{ end -}}
{{- toJson $add -}}
{{- end -}}

{{/* What of the host is read, each read-only: name, path on the host, where it is seen. */}}
{{- define "unitcost.hostPaths" -}}
{{- if .Values.kubernetes.podResources }}
- {name: pod-resources, path: "{{ .Values.kubernetes.kubeletPath }}/pod-resources", mount: /var/lib/kubelet/pod-resources}
{{- end }}
{{- if .Values.kubernetes.podLogs }}
- {name: pod-logs, path: /var/log/pods, mount: /var/log/pods}
{{- end }}
{{- if .Values.host.proc }}
- {name: host-proc, path: /proc, mount: /host/proc}
{{- end }}
{{- if .Values.host.sys }}
- {name: host-sys, path: /sys, mount: /host/sys}
{{- else if .Values.host.cgroups }}
- {name: host-cgroups, path: /sys/fs/cgroup, mount: /host/sys/fs/cgroup}
{{- end }}
{{- if .Values.training.enabled }}
- {name: training, path: {{ .Values.training.hostPath | quote }}, mount: /run/unitcost/train}
{{- end }}
{{- if and .Values.nvidia.enabled .Values.nvidia.driverHostPath }}
- {name: nvidia-driver, path: {{ .Values.nvidia.driverHostPath | quote }}, mount: /usr/local/nvidia}
{{- end }}
{{- end -}}

{{- define "unitcost.agent.volumes" -}}
{{ include "unitcost.volumes" . }}
- name: ledger
  {{- if eq .Values.ledger.type "hostPath" }}
  hostPath:
    path: {{ .Values.ledger.hostPath }}
    type: DirectoryOrCreate
  {{- else }}
  emptyDir: {{ include "unitcost.emptyDir" . }}
  {{- end }}
{{- range include "unitcost.hostPaths" . | fromYamlArray }}
- name: {{ .name }}
  hostPath:
    path: {{ .path }}
    type: {{ ternary "DirectoryOrCreate" "Directory" (eq .name "training") }}
{{- end }}
{{- end -}}

{{/* GPU nodes, by whoever labels them. */}}
{{- define "unitcost.gpuNodes" -}}
nodeAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    nodeSelectorTerms:
      - matchExpressions: [{key: nvidia.com/gpu.present, operator: In, values: ["true"]}]
      - matchExpressions: [{key: cloud.google.com/gke-accelerator, operator: Exists}]
      - matchExpressions: [{key: k8s.amazonaws.com/accelerator, operator: Exists}]
      - matchExpressions: [{key: eks.amazonaws.com/instance-gpu-count, operator: Exists}]
      - matchExpressions: [{key: karpenter.k8s.aws/instance-gpu-count, operator: Exists}]
      - matchExpressions: [{key: kubernetes.azure.com/accelerator, operator: Exists}]
{{- end -}}
