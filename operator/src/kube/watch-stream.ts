import { KubeError, type Status } from './kube-error.ts';
import type { KubeObject } from './object.ts';

/** What a watch tells: a change of one object, or (BOOKMARK) only how far it has got. */
export interface WatchEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  object: KubeObject;
}

/**
 * The events in a watch's body, one JSON object a line.
 * @throws KubeError when the server ends the watch with an error, such as 410 Expired. A last line that was cut off
 * is dropped: the event is told again when the watch resumes from the one before it.
 */
export async function* watchEvents(body: AsyncIterable<Buffer>, action: string): AsyncGenerator<WatchEvent> {
  for await (const line of lines(body)) {
    const event = JSON.parse(line) as WatchEvent | { type: 'ERROR'; object: Status };
    if (event.type === 'ERROR') throw KubeError.ofStatus(event.object, action);
    yield event;
  }
}

async function* lines(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const unfinished: Buffer[] = [];
  for await (const chunk of body) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      unfinished.push(chunk.subarray(start, end));
      const line = Buffer.concat(unfinished.splice(0)).toString('utf8');
      if (line.trim() !== '') yield line;
      start = end + 1;
    }
    if (start < chunk.length) unfinished.push(chunk.subarray(start));
  }
}
