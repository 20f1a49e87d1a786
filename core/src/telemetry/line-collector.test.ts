import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { LineCollector } from './line-collector.ts';

describe('lines', () => {
  let written: string[];
  let collector: LineCollector;

  beforeEach(() => {
    jest.useFakeTimers();
    written = [];
    collector = new LineCollector({ write: (bytes) => void written.push(Buffer.from(bytes).toString()) });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('of a tenth of a second are written together', () => {
    collector.write('one\n');
    jest.advanceTimersByTime(99);
    collector.write('two\n');
    expect(written).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(written).toEqual(['one\ntwo\n']);
    collector.write('three\n');
    jest.advanceTimersByTime(100);
    expect(written).toEqual(['one\ntwo\n', 'three\n']);
  });

  test('are written at once when there are many', () => {
    const line = `${'x'.repeat(1_023)}\n`;
    for (let i = 0; i < 33; i++) collector.write(line);
    expect(written).toEqual([line.repeat(32)]);
    jest.advanceTimersByTime(100);
    expect(written).toEqual([line.repeat(32), line]);
  });

  test('of any characters and lengths come out as they are, in order', () => {
    const lines = ['é', '漢字', '😀', 'x'].map((text, index) => `${text.repeat(7_000 * (index + 1))}\n`);
    for (const line of [...lines, ...lines]) collector.write(line);
    jest.advanceTimersByTime(100);
    expect(written.join('')).toBe([...lines, ...lines].join(''));
  });

  test('that are written already are not written again', () => {
    collector.write('one\n');
    collector.flush();
    collector.flush();
    jest.advanceTimersByTime(1_000);
    expect(written).toEqual(['one\n']);
  });
});

describe('standard output of a program', () => {
  const lineCollector = new URL('line-collector.ts', import.meta.url).href;

  test.each([
    ['that comes to its end', ''],
    ['that exits', 'process.exit(0);'],
    ['that fails', 'throw new Error("failed");'],
    ['that waits meanwhile', 'await new Promise((resolve) => setTimeout(resolve, 150)); output.write("last\\n");'],
  ])('%s has every line, in order', (_, end) => {
    const program = `
      const { standardOutput } = await import('${lineCollector}');
      const output = standardOutput();
      for (let i = 0; i < 20_000; i++) output.write(i + '\\n');
      ${end}`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' });
    const numbers = Array.from({ length: 20_000 }, (__, i) => `${i}\n`).join('');
    expect(stdout).toBe(numbers + (end.includes('last') ? 'last\n' : ''));
  });
});
