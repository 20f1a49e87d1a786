// Makes JavaScript of TypeScript sources, in place, for the image: Node would take the types out at every start, which is a
// quarter of it. Types become blanks, so lines and columns stay what they are in the sources. Arguments: the folders.
import { stripTypeScriptTypes } from 'node:module';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What a module imports, where the name ends in `.ts`: of this repository, for dependencies have JavaScript. */
const importedSource = /((?:\bfrom|\bimport|\bimport\()\s*(['"])[^'"\n]+)\.ts\2/g;

for (const folder of process.argv.slice(2)) {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
    const source = join(entry.parentPath, entry.name);
    const code = stripTypeScriptTypes(await readFile(source, 'utf8'), { mode: 'strip' });
    await writeFile(source.replace(/ts$/, 'js'), code.replaceAll(importedSource, '$1.js$2'));
    await rm(source);
  }
}
