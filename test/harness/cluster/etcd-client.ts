/** The two requests to etcd that tests need, through its JSON gateway, so no etcdctl has to be built. */
export class EtcdClient {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** The newest revision of the store. */
  async revision(): Promise<string> {
    const { header } = await this.#post('range', { key: toBase64('none') });
    return String((header as { revision?: unknown }).revision);
  }

  /** Forgets the history before the newest revision: a watch from further back ends with 410 Gone. */
  async compact(): Promise<string> {
    const revision = await this.revision();
    await this.#post('compaction', { revision, physical: true });
    return revision;
  }

  async #post(method: string, body: unknown): Promise<Record<string, unknown>> {
    const answer = await fetch(`${this.#url}/v3/kv/${method}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd ${method} failed: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Record<string, unknown>;
  }
}

function toBase64(text: string): string {
  return Buffer.from(text).toString('base64');
}
