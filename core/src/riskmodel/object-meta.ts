import type { StructuralSchema } from './structural-schema.ts';

/**
 * The schema of `metadata`. A CRD can't hold it, since Kubernetes adds it to every kind; here it types and checks the
 * fields of ObjectMeta, so a misspelt one is found in local mode as kubectl finds it.
 */
export const objectMetaSchema: StructuralSchema = {
  type: 'object',
  description: 'Standard object metadata.',
  required: ['name'],
  properties: {
    name: { type: 'string', description: "The model's name, unique in its namespace." },
    generateName: { type: 'string', description: 'A prefix from which the cluster makes a name.' },
    namespace: { type: 'string', description: 'The namespace the model lives in.' },
    labels: { type: 'object', description: 'Labels, to select objects by.', additionalProperties: { type: 'string' } },
    annotations: {
      type: 'object',
      description: 'Annotations, for tools and people.',
      additionalProperties: { type: 'string' },
    },
    uid: { type: 'string', description: "The object's id, given by the cluster." },
    resourceVersion: { type: 'string', description: "The object's version in the cluster's store." },
    generation: { type: 'integer', description: 'Counts the changes of spec.' },
    creationTimestamp: { type: 'string', nullable: true, description: 'When the object was created.' },
    deletionTimestamp: { type: 'string', nullable: true, description: 'When the object was deleted.' },
    deletionGracePeriodSeconds: { type: 'integer', description: 'Seconds until a deletion is carried out.' },
    finalizers: {
      type: 'array',
      description: 'What must be done before the object goes.',
      items: { type: 'string' },
    },
    ownerReferences: {
      type: 'array',
      description: 'The objects that own this one.',
      items: {
        type: 'object',
        description: 'An object that owns this one.',
        required: ['apiVersion', 'kind', 'name', 'uid'],
        properties: {
          apiVersion: { type: 'string' },
          kind: { type: 'string' },
          name: { type: 'string' },
          uid: { type: 'string' },
          controller: { type: 'boolean' },
          blockOwnerDeletion: { type: 'boolean' },
        },
      },
    },
    managedFields: {
      type: 'array',
      description: 'Which manager set which field; kept by the cluster.',
      items: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    },
    selfLink: { type: 'string', description: 'No longer used by the cluster.' },
  },
};
