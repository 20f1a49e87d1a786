{{/*
Everything that the operator is allowed to do with models, batches and their objects; test/operator/rights.test.ts fails
for a right that is missing, and for one that nothing uses. There is no right to read Secrets: pods name theirs, and the
kubelet fetches them. An object that the caches don't hold is looked for by get before it is made, since it may be
somebody else's.
*/}}
{{- define "risk-model.operatorRules" -}}
# Models are what is reconciled; their finalizers are set by a patch.
- apiGroups: [riskmodel.io]
  resources: [riskmodels]
  verbs: [list, watch, patch]
{{- if include "risk-model.webhookEnabled" . }}
# The webhook warns of a batch whose model is not there.
- apiGroups: [riskmodel.io]
  resources: [riskmodels]
  verbs: [get]
{{- end }}
# Their state is told by server-side apply of the status alone.
- apiGroups: [riskmodel.io]
  resources: [riskmodels/status]
  verbs: [patch]
# Models' objects name them as owner with blockOwnerDeletion. No request shows that this is used: the admission plugin
# OwnerReferencesPermissionEnforcement, which some clusters have on, asks for it with each of those objects.
- apiGroups: [riskmodel.io]
  resources: [riskmodels/finalizers]
  verbs: [update]
# Batch runs get a finalizer by a patch, and are deleted when their ttlSecondsAfterFinished is over.
- apiGroups: [riskmodel.io]
  resources: [batchpredictions]
  verbs: [list, watch, patch, delete]
# Their progress is mirrored by server-side apply of the status alone.
- apiGroups: [riskmodel.io]
  resources: [batchpredictions/status]
  verbs: [patch]
# Each revision has a Deployment; server-side apply needs create and patch; old revisions are deleted.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
# Each revision has a Service to be tried at and a ConfigMap with its manifest, which go with it.
- apiGroups: [""]
  resources: [services, configmaps]
  verbs: [get, list, watch, create, patch, delete]
# The identity of a model's pods. It goes with the model, by its owner reference.
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, watch, create, patch]
# Why a revision does not become ready is read from its pods.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# Serving pods and workers are scaled by autoscalers, which go when serving is off or KEDA takes over.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
# Nodes that are emptied take one serving pod at a time. It goes with the model.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
# Serving pods take traffic on their one port, workers none. They go with the model.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch]
# What happens to models is told as Events; one that comes again is counted by a patch.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
# Where KEDA is installed, workers are scaled by the length of their queue. It goes with the model.
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, list, watch, create, patch]
# On GKE, Managed Service for Prometheus scrapes models. It goes with the model.
- apiGroups: [monitoring.googleapis.com]
  resources: [podmonitorings]
  verbs: [get, list, watch, create, patch]
# Where a Gateway is named in the values, models get routes at it, which go when it is named no longer.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
# On GKE, a Gateway's load balancer is told what a healthy model answers, as long as there is a Gateway.
- apiGroups: [networking.gke.io]
  resources: [healthcheckpolicies]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
