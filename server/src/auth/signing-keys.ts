import { RiskModelError } from '@riskmodel/core/errors.ts';
import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey, type RemoteJWKSet } from 'jose';

/** After this long the keys are asked for again, while the ones at hand go on. */
const refreshMilliseconds = 10 * 60_000;
/** Keys that could not be asked for again for so long are not trusted any more. */
const longestAge = 24 * 3_600_000;
/** A key that is not known makes us ask again, but not more often than this. */
const cooldownMilliseconds = 30_000;
/** An issuer that does not answer is left alone for so long. */
const failurePause = 5_000;
const fetchTimeout = 5_000;

/** The issuer's keys can't be had, so nobody can say whether a token is good. It may pass. */
export class SigningKeysUnavailable extends RiskModelError {
  constructor(uri: URL, cause: unknown) {
    super('SigningKeysUnavailable', `the signing keys can't be fetched from ${uri.href}`, { retry: 'later', cause });
  }
}

/** The keys that an issuer signs tokens with, fetched when first needed and kept fresh without letting anybody wait. */
export class SigningKeys {
  readonly #uri: URL;
  readonly #remote: RemoteJWKSet;
  #fetchedAt = 0;
  #pausedUntil = 0;

  constructor(uri: URL) {
    this.#uri = uri;
    this.#remote = createRemoteJWKSet(uri, {
      timeoutDuration: fetchTimeout,
      cooldownDuration: cooldownMilliseconds,
      cacheMaxAge: longestAge,
      [customFetch]: async (url, options) => {
        if (Date.now() < this.#pausedUntil) throw new Error('it did not answer a moment ago');
        const response = await fetch(url, options);
        if (response.ok) this.#fetchedAt = Date.now();
        return response;
      },
    });
  }

  /**
   * The key that a token says it is signed with.
   *
   * @throws SigningKeysUnavailable; jose's own errors when there is no such key
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    this.#refresh();
    try {
      return await this.#remote(header, token);
    } catch (error) {
      if (isAboutToken(error)) throw error;
      this.#pause();
      throw new SigningKeysUnavailable(this.#uri, error);
    }
  };

  #refresh(): void {
    const now = Date.now();
    const isDue = this.#remote.fresh && now - this.#fetchedAt > refreshMilliseconds && now >= this.#pausedUntil;
    if (isDue && !this.#remote.reloading) this.#remote.reload().catch(() => this.#pause());
  }

  #pause(): void {
    const now = Date.now();
    if (now >= this.#pausedUntil) this.#pausedUntil = now + failurePause;
  }
}

function isAboutToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}
