{{- define "risk-model.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The beginning of every object's name, short enough for what is put after it. */}}
{{- define "risk-model.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "risk-model.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "risk-model.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "risk-model.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: {{ include "risk-model.name" . }}
app.kubernetes.io/name: {{ include "risk-model.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What finds the pods of a component: give it (list $ "operator"). It never changes. */}}
{{- define "risk-model.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "risk-model.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Labels of a component's objects: give it (list $ "operator"). */}}
{{- define "risk-model.componentLabels" -}}
{{ include "risk-model.labels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "risk-model.operatorName" -}}
{{ include "risk-model.fullname" . }}-operator
{{- end }}

{{- define "risk-model.webhookName" -}}
{{ include "risk-model.fullname" . }}-webhook
{{- end }}

{{/* Whether there is a webhook; empty if not. It is an object of the whole cluster, which scope Namespaced keeps off. */}}
{{- define "risk-model.webhookEnabled" -}}
{{- if and .Values.webhook.enabled (eq .Values.scope "Cluster") }}true{{ end }}
{{- end }}

{{- define "risk-model.redisName" -}}
{{ include "risk-model.fullname" . }}-redis
{{- end }}

{{- define "risk-model.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "risk-model.operatorName" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: is required when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "risk-model.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end }}
{{- end }}

{{/* The namespace whose models are served; empty for all of them. */}}
{{- define "risk-model.watchNamespace" -}}
{{- if eq .Values.scope "Namespaced" }}
{{- default .Release.Namespace .Values.watchNamespace }}
{{- else if .Values.watchNamespace }}
{{- fail "watchNamespace: is for scope=Namespaced; with scope=Cluster the models of every namespace are served" }}
{{- end }}
{{- end }}

{{/* The namespaces that get what models' pods need, as a JSON list. */}}
{{- define "risk-model.modelNamespaces" -}}
{{- $own := default .Release.Namespace (include "risk-model.watchNamespace" .) }}
{{- default (list $own) .Values.modelNamespaces | uniq | sortAlpha | toJson }}
{{- end }}

{{/* Which Redis is used: url, secret or bundled. */}}
{{- define "risk-model.redisMode" -}}
{{- with .Values.redis }}
{{- if and .url .existingSecret.name }}
{{- fail "redis: url and existingSecret.name are both given; leave one of them out" }}
{{- else if .url }}
{{- if contains "@" .url }}
{{- fail "redis.url: has credentials in it, which would stand in every pod: put the URL in a Secret and name that in redis.existingSecret.name" }}
{{- end -}}
url
{{- else if .existingSecret.name -}}
secret
{{- else if .bundled.enabled -}}
bundled
{{- else }}
{{- fail "redis: give redis.url or redis.existingSecret.name, or set redis.bundled.enabled=true" }}
{{- end }}
{{- end }}
{{- end }}

{{/* The Secret that has the URL of Redis, as JSON {name, key}. */}}
{{- define "risk-model.redisSecret" -}}
{{- if eq (include "risk-model.redisMode" .) "secret" }}
{{- dict "name" .Values.redis.existingSecret.name "key" .Values.redis.existingSecret.key | toJson }}
{{- else }}
{{- dict "name" (include "risk-model.redisName" .) "key" "url" | toJson }}
{{- end }}
{{- end }}

{{/* Of every pod of this chart: no root, no privileges. */}}
{{- define "risk-model.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "risk-model.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Who may call models, in the variables of their pods; empty values say nothing. */}}
{{- define "risk-model.accessEnv" -}}
{{- $auth := .Values.auth }}
{{- $asksKeys := contains "api-key" $auth.mode }}
{{- $asksTokens := contains "oidc" $auth.mode }}
{{- if and $asksKeys (not $auth.apiKeys.secretName) }}
{{- fail "auth.apiKeys.secretName: is required with api-key in auth.mode" }}
{{- end }}
{{- if and $asksTokens (not (and $auth.oidc.audience $auth.oidc.allowedEmails)) }}
{{- fail "auth.oidc: audience and allowedEmails are required with oidc in auth.mode" }}
{{- end }}
{{- if and $asksTokens $auth.oidc.issuer (not $auth.oidc.jwksUri) }}
{{- fail "auth.oidc.jwksUri: is required with auth.oidc.issuer" }}
{{- end }}
{{- $env := dict "RISKMODEL_AUTH" (ternary "" $auth.mode (eq $auth.mode "none")) }}
{{- if $asksKeys }}
{{- $_ := set $env "RISKMODEL_API_KEYS_SECRET" $auth.apiKeys.secretName }}
{{- end }}
{{- if $asksTokens }}
{{- $_ := set $env "RISKMODEL_OIDC_ISSUER" $auth.oidc.issuer }}
{{- $_ := set $env "RISKMODEL_OIDC_JWKS_URI" $auth.oidc.jwksUri }}
{{- $_ := set $env "RISKMODEL_OIDC_AUDIENCE" $auth.oidc.audience }}
{{- $_ := set $env "RISKMODEL_OIDC_ALLOWED_EMAILS" (join "," $auth.oidc.allowedEmails) }}
{{- end }}
{{- $_ := set $env "RISKMODEL_RATE_LIMIT_ONLINE" .Values.rateLimit.online }}
{{- $_ := set $env "RISKMODEL_RATE_LIMIT_BATCH" .Values.rateLimit.batch }}
{{- range $name, $value := $env }}
{{- if $value }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}
