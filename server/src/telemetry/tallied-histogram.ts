import type { Metric, MetricValueWithName, Registry } from 'prom-client';

/** One combination of labels. */
export interface Series {
  observe: (value: number) => void;
}

/**
 * A histogram that counts in an array. Prom-client's own makes a text of a bucket's bound, and looks for the labels' series,
 * with every observation: at thousands of requests a second that is as much as parsing their bodies. What is scraped is the
 * same. Source: https://prometheus.io/docs/instrumenting/exposition_formats/#histograms-and-summaries
 */
export class TalliedHistogram<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #bounds: Float64Array;
  readonly #series = new Map<string, Tally<Label>>();

  /** @param options.buckets upper bounds, ascending */
  constructor(options: { name: string; help: string; buckets: readonly number[]; registry: Registry }) {
    this.name = options.name;
    this.help = options.help;
    this.#bounds = Float64Array.from(options.buckets);
    // A registry asks of a metric what this has; the type names what prom-client's own have besides.
    options.registry.registerMetric(this as unknown as Metric);
  }

  /** The series of these labels, which is seen from now on; keep it where values are observed often. */
  labels(labels: Readonly<Record<Label, string>>): Series {
    const key = JSON.stringify(labels);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const made = new Tally(labels, this.#bounds);
    this.#series.set(key, made);
    return made;
  }

  /** What a registry prints. */
  get(): Promise<object> {
    const { name, help, type, aggregator } = this;
    const values = [...this.#series.values()].flatMap((series) => series.values(name));
    return Promise.resolve({ name, help, type, aggregator, values });
  }
}

class Tally<Label extends string> implements Series {
  readonly #labels: Readonly<Record<Label, string>>;
  readonly #bounds: Float64Array;
  /** By bucket, not yet added up; the last is of what exceeds all bounds. */
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(labels: Readonly<Record<Label, string>>, bounds: Float64Array) {
    this.#labels = labels;
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && !(value <= (bounds[bucket] as number))) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#sum += value;
  }

  values(name: string): MetricValueWithName<string>[] {
    const labels = this.#labels;
    let count = 0;
    const buckets = Array.from(this.#counts, (tally, bucket) => {
      count += tally;
      const le = this.#bounds[bucket] ?? '+Inf';
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}
