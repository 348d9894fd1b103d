{{- define "multi-eni.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "multi-eni.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "multi-eni.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What never changes in a release: a Deployment's selector is immutable. */}}
{{- define "multi-eni.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end -}}

{{- define "multi-eni.labels" -}}
{{ include "multi-eni.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Labels of the hook's objects. The Deployment and the PodDisruptionBudget must not select the hook's Pod. */}}
{{- define "multi-eni.hookLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: drain
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* An object of the pre-delete hook, with its weight. A failed Job stays, so that its log can be read. */}}
{{- define "multi-eni.preDeleteHook" -}}
helm.sh/hook: pre-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- define "multi-eni.agentName" -}}
{{- printf "%s-agent" (include "multi-eni.fullname" .) -}}
{{- end -}}

{{- define "multi-eni.agentServiceAccountName" -}}
{{- $account := .Values.nodeAgent.serviceAccount -}}
{{- if $account.create -}}
{{- $account.name | default (include "multi-eni.agentName" .) -}}
{{- else -}}
{{- required "nodeAgent.serviceAccount.name is needed when nodeAgent.serviceAccount.create is false" $account.name -}}
{{- end -}}
{{- end -}}

{{- define "multi-eni.agentSelectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: node-agent
{{- end -}}

{{- define "multi-eni.agentLabels" -}}
{{ include "multi-eni.agentSelectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* The host for the kubelet's probes of an address. Empty for an address that stands for all: the kubelet then takes the node's. */}}
{{- define "multi-eni.agentProbeHost" -}}
{{- $host := regexReplaceAll ":[0-9]+$" . "" | trimPrefix "[" | trimSuffix "]" -}}
{{- if not (has $host (list "0.0.0.0" "::")) -}}{{- $host -}}{{- end -}}
{{- end -}}
