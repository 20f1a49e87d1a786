const words = ['true', 'false'];
/** What of a word may be at the end of a piece, with the rest in the next one. */
const longestPart = Math.max(...words.map((word) => word.length)) - 1;

/** Finds out whether a text has the words true or false anywhere: without them, JSON has no booleans. */
export class BooleanFinder {
  found = false;

  /** Hands on a text's pieces, having looked at each. */
  async *watch(text: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
    let end = '';
    for await (const piece of text) {
      const seam = end + piece.toString('latin1', 0, longestPart);
      this.found ||= words.some((word) => seam.includes(word) || piece.includes(word));
      const rest = piece.length > longestPart ? piece.toString('latin1', piece.length - longestPart) : seam;
      end = rest.slice(-longestPart);
      yield piece;
    }
  }
}
