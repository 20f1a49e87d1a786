export interface TextColumn {
  title: string;
  align?: 'left' | 'right';
}

/** Lines of columns that are as wide as their widest cell, two spaces apart, without spaces at a line's end. */
export function textTable(columns: TextColumn[], rows: string[][]): string[] {
  const lines = [columns.map(({ title }) => title), ...rows];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines.map((line) =>
    columns
      .map(({ align }, column) => {
        const cell = line[column] ?? '';
        const width = widths[column] as number;
        return align === 'right' ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
}
