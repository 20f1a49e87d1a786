import { readFile } from 'node:fs/promises';
import { messageOf } from '@riskmodel/core/errors.ts';

/** The text of a file. Throws an error whose message completes "FILE: ...". */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new Error('there is no such file', { cause });
    if (code === 'EISDIR') throw new Error('is a folder, not a file', { cause });
    throw new Error(`can't be read: ${messageOf(cause)}`, { cause });
  }
}
