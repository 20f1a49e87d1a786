{{/*
Everything that the operator is allowed to do with models, batches and their objects. get comes with list and watch,
since it shows nothing that they don't. There is no right to read Secrets: pods name theirs, and the kubelet fetches them.
*/}}
{{- define "risk-model.operatorRules" -}}
# Models are what is reconciled; their finalizers are set by a patch.
- apiGroups: [riskmodel.io]
  resources: [riskmodels]
  verbs: [get, list, watch, patch]
# Their state is told by server-side apply of the status alone.
- apiGroups: [riskmodel.io]
  resources: [riskmodels/status]
  verbs: [patch]
# Models' objects name them as owner with blockOwnerDeletion, which OwnerReferencesPermissionEnforcement asks this for.
- apiGroups: [riskmodel.io]
  resources: [riskmodels/finalizers]
  verbs: [update]
# Batch runs get a finalizer by a patch, and are deleted when their ttlSecondsAfterFinished is over.
- apiGroups: [riskmodel.io]
  resources: [batchpredictions]
  verbs: [get, list, watch, patch, delete]
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
  verbs: [get, list, watch]
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
# Where KEDA is installed, workers are scaled by the length of their queue.
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, list, watch, create, patch, delete]
# On GKE, Managed Service for Prometheus scrapes models.
- apiGroups: [monitoring.googleapis.com]
  resources: [podmonitorings]
  verbs: [get, list, watch, create, patch, delete]
# Where a Gateway is named in the values, models get routes at it.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
# On GKE, a Gateway's load balancer is told what a healthy model answers.
- apiGroups: [networking.gke.io]
  resources: [healthcheckpolicies]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
