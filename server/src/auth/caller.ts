import type { IncomingMessage } from 'node:http';
import type { Role } from '@riskmodel/core/access/api-key.ts';

/** Who calls. */
export interface Caller {
  /** The name of an API key, or the email address of a token; logs have it. */
  name: string;
  method: 'api-key' | 'oidc' | 'none';
  /** None for one who is known and may do nothing here. */
  roles: ReadonlySet<Role>;
}

/** Why a credential is not accepted, for the log; never told to the caller. */
export interface Refusal {
  refused: string;
}

/** Everybody, where nobody is asked. */
export const anonymous: Caller = { name: 'anonymous', method: 'none', roles: new Set(['online', 'batch']) };

const callers = new WeakMap<IncomingMessage, Caller>();

export function rememberCaller(request: IncomingMessage, caller: Caller): void {
  callers.set(request, caller);
}

/** Who sent a request that passed the guard. */
export function callerOf(request: IncomingMessage): Caller {
  return callers.get(request) ?? anonymous;
}
