import { readFile } from 'node:fs/promises';

/** An `audit.k8s.io/v1` Policy: what is written down of which requests. */
export interface AuditPolicy {
  rules: { level: 'None' | 'Metadata' | 'Request' | 'RequestResponse'; [field: string]: unknown }[];
  omitStages?: string[];
}

/** The fields of an `audit.k8s.io/v1` Event that tests ask about. */
export interface AuditEvent {
  stage: string;
  verb: string;
  requestURI: string;
  user: { username: string; groups?: string[]; extra?: Record<string, string[]> };
  userAgent?: string;
  objectRef?: { apiGroup?: string; resource?: string; subresource?: string; namespace?: string; name?: string };
  responseStatus?: { code: number; reason?: string };
  requestReceivedTimestamp: string;
  annotations?: Record<string, string>;
  requestObject?: unknown;
}

/** Who did what, once for each request, without the contents: enough to compare with roles. */
export const everyRequest: AuditPolicy = { rules: [{ level: 'Metadata' }], omitStages: ['RequestReceived'] };

export function makeAuditPolicyFile(policy: AuditPolicy): string {
  return JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', ...policy });
}

/** The events that were written so far, the oldest first. */
export async function readAuditLog(file: string): Promise<AuditEvent[]> {
  const lines = (await readFile(file, 'utf8')).split('\n');
  // The last line is empty, or an event that is being written.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as AuditEvent);
}
