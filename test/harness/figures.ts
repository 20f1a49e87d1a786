/** Prints a measured figure where whoever runs the tests sees it. */
export function printFigure(text: string): void {
  process.stderr.write(`  figure: ${text}\n`);
}
