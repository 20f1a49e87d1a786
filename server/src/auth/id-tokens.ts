import { createHash } from 'node:crypto';
import { errors, jwtVerify, type JWTPayload } from 'jose';
import type { Caller, Refusal } from './caller.ts';
import type { OidcSettings } from './settings.ts';
import { SigningKeys, SigningKeysUnavailable } from './signing-keys.ts';

/** Signatures with a public key only: with a shared secret, the public key itself would do as one. */
const algorithms = ['RS256', 'ES256'];
/** Seconds that two clocks may differ. */
const clockTolerance = 30;
/** A token that was found good is not looked into again for so long: short enough for a key that is withdrawn. */
const longestTrust = 5 * 60_000;
const mostRemembered = 10_000;

interface Verified {
  caller: Caller;
  /** In milliseconds since 1970. */
  until: number;
}

/** OIDC tokens, such as the ID tokens of Google's service accounts. */
export class IdTokens {
  readonly #settings: OidcSettings;
  readonly #keys: SigningKeys;
  /** By the token's hash, so that a dump of the memory has no tokens. */
  readonly #verified = new Map<string, Verified>();

  constructor(settings: OidcSettings) {
    this.#settings = settings;
    this.#keys = new SigningKeys(settings.jwksUri);
  }

  /**
   * Who the token speaks of: a caller without roles when it is good, but the address is not among the allowed.
   *
   * @throws SigningKeysUnavailable
   */
  async authenticate(token: string): Promise<Caller | Refusal> {
    const hash = createHash('sha256').update(token).digest('base64');
    const known = this.#verified.get(hash);
    if (known !== undefined && Date.now() < known.until) return known.caller;
    this.#verified.delete(hash);

    const result = await this.#verify(token);
    if ('refused' in result) return result;
    const caller = this.#callerOf(result.payload);
    if (!('refused' in caller)) this.#remember(hash, caller, result.payload);
    return caller;
  }

  async #verify(token: string): Promise<{ payload: JWTPayload } | Refusal> {
    const { issuer, audiences } = this.#settings;
    try {
      return await jwtVerify(token, this.#keys.find, {
        issuer,
        audience: [...audiences],
        algorithms,
        clockTolerance,
        requiredClaims: ['exp', 'iat', 'sub'],
      });
    } catch (error) {
      if (error instanceof SigningKeysUnavailable) throw error;
      if (error instanceof errors.JWTClaimValidationFailed) return { refused: `token: claim ${error.claim}` };
      if (error instanceof errors.JOSEError) return { refused: `token: ${error.code}` };
      throw error;
    }
  }

  /** An address counts when the issuer has verified that it is the caller's. */
  #callerOf({ email, email_verified: isVerified }: JWTPayload): Caller | Refusal {
    if (typeof email !== 'string' || email === '') return { refused: 'token: no email' };
    if (isVerified !== true) return { refused: 'token: email not verified' };
    const name = email.toLowerCase();
    return { name, method: 'oidc', roles: this.#settings.allowedEmails.get(name) ?? new Set() };
  }

  #remember(hash: string, caller: Caller, { exp = 0 }: JWTPayload): void {
    // The oldest goes first.
    const [oldest] = this.#verified.keys();
    if (this.#verified.size >= mostRemembered && oldest !== undefined) this.#verified.delete(oldest);
    this.#verified.set(hash, { caller, until: Math.min(exp * 1_000, Date.now() + longestTrust) });
  }
}
