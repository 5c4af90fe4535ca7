{{/* Names, labels and what pods of every mode have in common. */}}

{{- define "unitcost.name" -}}
{{- default "unitcost" .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "unitcost.fullname" -}}
{{- $name := include "unitcost.name" . -}}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $both .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* Never change these: a DaemonSet's selector cannot be changed, and a new one loses no ledger but its name. */}}
{{- define "unitcost.selector" -}}
app.kubernetes.io/name: {{ include "unitcost.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ ternary "central" "agent" (eq .Values.mode "deployment") }}
{{- end -}}

{{- define "unitcost.labels" -}}
{{ include "unitcost.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "unitcost.metadata" -}}
name: {{ include "unitcost.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "unitcost.labels" . | nindent 2 }}
{{- end -}}

{{- define "unitcost.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "unitcost.serviceAccountName" -}}
{{- $made := ternary (include "unitcost.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $made .Values.serviceAccount.name -}}
{{- end -}}

{{/* Whether the agent asks the API server for anything: "true" or nothing. */}}
{{- define "unitcost.asksApi" -}}
{{- with .Values.kubernetes -}}
{{- if and (eq $.Values.mode "daemonset") (or .apiServer .dra .nodeIdentity .trainJobs) }}true{{ end -}}
{{- end -}}
{{- end -}}

{{- define "unitcost.podMetadata" -}}
labels:
  {{- include "unitcost.selector" . | nindent 2 }}
  {{- with .Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  checksum/config: {{ include "unitcost.config" . | sha256sum }}
  kubectl.kubernetes.io/default-container: unitcost
  {{- with .Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "unitcost.image.fields" -}}
image: {{ include "unitcost.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end -}}

{{- define "unitcost.port" -}}
{{ ternary .Values.deployment.port .Values.web.port (eq .Values.mode "deployment") }}
{{- end -}}

{{- define "unitcost.ask" -}}
{{- $path := index . 1 -}}
{{- with index . 0 -}}
{{- if .Values.web.clientCertificates -}}
tcpSocket: {port: {{ include "unitcost.port" . }}}
{{- else -}}
httpGet: {path: {{ $path }}, port: {{ include "unitcost.port" . }}, scheme: {{ ternary "HTTPS" "HTTP" .Values.web.tls }}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "unitcost.liveness" -}}
livenessProbe:
  {{- include "unitcost.ask" (list . "/-/healthy") | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{- define "unitcost.probes" -}}
startupProbe:
  {{- include "unitcost.ask" (list . "/-/healthy") | nindent 2 }}
  periodSeconds: 2
  failureThreshold: 60
{{ include "unitcost.liveness" . }}
readinessProbe:
  {{- include "unitcost.ask" (list . "/-/ready") | nindent 2 }}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
{{- end -}}

{{/* What the security context of any container says that needs nothing of the host. */}}
{{- define "unitcost.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- if .Values.sidecar.runAsUser }}
runAsUser: {{ .Values.sidecar.runAsUser | int }}
runAsGroup: {{ .Values.sidecar.runAsUser | int }}
{{- end }}
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Volumes of configuration, secrets and files, of the agent in every mode. */}}
{{- define "unitcost.volumes" -}}
- name: {{ include "unitcost.volume" (list . "config") }}
  configMap:
    name: {{ include "unitcost.fullname" . }}
- name: {{ include "unitcost.volume" (list . "tmp") }}
  emptyDir: {}
{{- range $name, $secret := include "unitcost.secrets" . | fromYaml }}
- name: {{ include "unitcost.volume" (list $ (printf "secret-%s" $name)) }}
  secret:
    secretName: {{ $secret }}
    {{- /* In a pod of somebody else's we cannot ask for a group of our own. */}}
    defaultMode: {{ ternary 0444 0440 (eq $.Values.mode "sidecar") }}
{{- end }}
{{- range .Values.configMapMounts }}
- name: {{ include "unitcost.volume" (list $ (printf "files-%s" .name)) }}
  configMap:
    name: {{ .configMap }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "unitcost.emptyDir" -}}
{{- $limit := .Values.ledger.sizeLimit -}}
{{- ternary (dict "sizeLimit" $limit) dict (ne $limit "") | toJson -}}
{{- end -}}

{{- define "unitcost.volumeMounts" -}}
- name: {{ include "unitcost.volume" (list . "config") }}
  mountPath: /etc/unitcost
  readOnly: true
- name: {{ include "unitcost.volume" (list . "tmp") }}
  mountPath: /tmp
{{- range $name, $secret := include "unitcost.secrets" . | fromYaml }}
- name: {{ include "unitcost.volume" (list $ (printf "secret-%s" $name)) }}
  mountPath: /etc/unitcost-secrets/{{ $name }}
  readOnly: true
{{- end }}
{{- range .Values.configMapMounts }}
- name: {{ include "unitcost.volume" (list $ (printf "files-%s" .name)) }}
  mountPath: /etc/unitcost-files/{{ .name }}
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A volume's name: in a pod of somebody else's it must not be taken. */}}
{{- define "unitcost.volume" -}}
{{- $root := index . 0 -}}
{{- ternary "unitcost-" "" (eq $root.Values.mode "sidecar") -}}{{ index . 1 }}
{{- end -}}

{{/* Secrets that are mounted, by the folder below /etc/unitcost-secrets. Only their names are known here. */}}
{{- define "unitcost.secrets" -}}
{{- range .Values.secretMounts }}
{{ .name }}: {{ .secret }}
{{- end }}
{{- with .Values.web.configSecret }}
web: {{ . }}
{{- end }}
{{- if eq .Values.mode "deployment" }}
database: {{ .Values.deployment.database.secret }}
tokens: {{ .Values.deployment.tokens.secret }}
{{- else }}
{{- with .Values.central.secret }}
central: {{ . }}
{{- end }}
{{- with .Values.central.caSecret }}
central-ca: {{ . }}
{{- end }}
{{- with .Values.notify.slack.secret }}
slack: {{ . }}
{{- end }}
{{- with .Values.notify.webhook.secret }}
webhook: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Fields of our own pods, whatever runs in them. */}}
{{- define "unitcost.podFields" -}}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- if .Values.priorityClass.create }}
priorityClassName: {{ include "unitcost.fullname" . }}
{{- else if .Values.priorityClassName }}
priorityClassName: {{ .Values.priorityClassName }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with ternary .Values.deployment.tolerations .Values.tolerations (eq .Values.mode "deployment") }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
