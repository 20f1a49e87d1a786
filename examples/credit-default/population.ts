/**
 * The synthetic applicants of this example. Each is a small simulation: a person with means and money trouble that no
 * column shows, a card, and six months of bills and payments. The outcome is drawn from a risk that follows from them,
 * so a model can learn it, but never perfectly.
 */

/** The columns of the manifest's `features`, in its order. */
export const FEATURES = [
  'LIMIT_BAL',
  'SEX',
  'EDUCATION',
  'MARRIAGE',
  'AGE',
  'PAY_0',
  'PAY_2',
  'PAY_3',
  'PAY_4',
  'PAY_5',
  'PAY_6',
  'BILL_AMT1',
  'BILL_AMT2',
  'BILL_AMT3',
  'BILL_AMT4',
  'BILL_AMT5',
  'BILL_AMT6',
  'PAY_AMT1',
  'PAY_AMT2',
  'PAY_AMT3',
  'PAY_AMT4',
  'PAY_AMT5',
  'PAY_AMT6',
] as const;

const MONTHS = 6;
const STATUS = FEATURES.indexOf('PAY_0');
const BILL = FEATURES.indexOf('BILL_AMT1');
const PAYMENT = FEATURES.indexOf('PAY_AMT1');
const TARGET = FEATURES.length;

/** Values of one applicant: the features in order, then the outcome (1 = defaults next month). */
export const VALUES_PER_APPLICANT = FEATURES.length + 1;

/** A uniform number in [0, 1). */
export type Random = () => number;

/** sfc32: small, fast, and the same sequence for a seed on every machine, which Math.random does not promise. */
export function seededRandom(seed: number): Random {
  let a = seed | 0;
  let b = Math.trunc(seed / 2 ** 32) | 0;
  let c = 0x9e3779b9 | 0;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  // Neighbouring seeds give similar numbers until the state is mixed.
  for (let i = 0; i < 15; i++) next();
  return next;
}

/** How a cardholder usually treats a bill. */
type Habit = 'idle' | 'pays in full' | 'revolves';

/** Draws the next applicant into `out`, which holds VALUES_PER_APPLICANT numbers. */
export function drawApplicant(random: Random, out: Int32Array): void {
  const affluence = normal(random);
  const strain = normal(random) - 0.3 * affluence;
  const sex = random() < 0.6 ? 2 : 1;
  const education = drawEducation(random, affluence);
  const age = Math.min(79, Math.round(21 + Math.exp(2.4 + 0.7 * normal(random))));
  const marriage = drawMarriage(random, age);
  const limit = drawLimit(random, affluence, age);

  out[0] = limit;
  out[1] = sex;
  out[2] = education;
  out[3] = marriage;
  out[4] = age;
  const worstDelay = simulateMonths(random, limit, strain, out);

  const delay = Math.max(0, out[STATUS]!);
  const utilisation = out[BILL]! / limit;
  const monthlyPayment = (out[PAYMENT]! + out[PAYMENT + 1]! + out[PAYMENT + 2]!) / 3;
  // SEX, MARRIAGE and AGE are deliberately no part of the risk.
  const logit =
    -1.9 +
    0.6 * strain +
    0.8 * Math.min(delay, 3) +
    0.3 * Math.min(worstDelay, 3) +
    0.6 * utilisation -
    0.45 * Math.log(limit / 140_000) -
    0.12 * Math.log1p(monthlyPayment / 1000);
  out[TARGET] = random() < sigmoid(logit) ? 1 : 0;
}

/**
 * Plays the card from the oldest month (PAY_6, BILL_AMT6, PAY_AMT6) to the newest. The payment of a month settles the
 * bill of the month before; the status says how: -2 nothing to pay, -1 paid in full, 0 paid in part, n = n months late.
 * Returns the worst delay in months.
 */
function simulateMonths(random: Random, limit: number, strain: number, out: Int32Array): number {
  const habit = drawHabit(random, strain);
  const usage = sigmoid((habit === 'revolves' ? -0.1 : -3.3) + 0.5 * strain + 1.4 * normal(random));
  const target = usage * limit;
  let due = habit === 'idle' && random() < 0.7 ? 0 : Math.round(target * (0.5 + random()));
  let delay = 0;
  let worstDelay = 0;

  for (let month = MONTHS - 1; month >= 0; month--) {
    const missed = due > 0 && random() < sigmoid(-3.3 + strain + (delay > 0 ? 2.8 : 0));
    let paid = 0;
    let status = -2;
    if (missed) {
      // The first delay is mostly reported once two months are due, as in the original data.
      if (delay === 0) delay = random() < 0.3 ? 1 : 2;
      else if (random() < 0.35) delay = Math.min(9, delay + 1);
      worstDelay = Math.max(worstDelay, delay);
      if (random() < 0.3) paid = Math.round(due * 0.03 * random());
      status = delay;
    } else if (due > 0) {
      delay = 0;
      paid = drawPayment(random, habit, due);
      status = paid < due ? 0 : habit === 'idle' ? -2 : -1;
    } else {
      delay = 0;
    }

    const carried = due - paid;
    const interest = carried > 0 ? carried * 0.015 : 0;
    const bill = Math.round(Math.min(carried + interest + drawSpending(random, habit, target, carried), limit * 1.08));
    out[STATUS + month] = status;
    out[PAYMENT + month] = paid;
    out[BILL + month] = bill;
    due = bill;
  }
  return worstDelay;
}

function drawHabit(random: Random, strain: number): Habit {
  const u = random() + 0.08 * strain;
  return u < 0.12 ? 'idle' : u < 0.34 ? 'pays in full' : 'revolves';
}

function drawPayment(random: Random, habit: Habit, due: number): number {
  // Paying more than is due leaves a credit: the next bill can be negative.
  if (habit !== 'revolves') return random() < 0.04 ? Math.round(due * (1 + 0.3 * random())) : due;
  if (random() < 0.04) return due;
  const share = random() < 0.08 ? 0.2 + 0.7 * random() : 0.03 + 0.05 * random();
  const paid = due * share;
  return Math.min(due, paid < 1000 ? Math.round(paid) : 100 * Math.round(paid / 100));
}

function drawSpending(random: Random, habit: Habit, target: number, carried: number): number {
  if (habit === 'idle') return random() < 0.75 ? 0 : target * random();
  if (habit === 'pays in full') return random() < 0.06 ? 0 : target * (0.3 + 1.4 * random());
  // Spending pulls the balance towards the level this cardholder is used to.
  return Math.max(0, target - carried) * random() + 0.04 * target * random();
}

function drawEducation(random: Random, affluence: number): number {
  const u = random();
  if (u < 0.0008) return 0;
  if (u < 0.0052) return 4;
  if (u < 0.0142) return 5;
  if (u < 0.0159) return 6;
  const schooling = normal(random) + 0.6 * affluence;
  return schooling > 0.45 ? 1 : schooling > -1.1 ? 2 : 3;
}

function drawMarriage(random: Random, age: number): number {
  const u = random();
  if (u < 0.0016) return 0;
  if (u < 0.0141) return 3;
  return random() < sigmoid((age - 35) / 6) ? 1 : 2;
}

function drawLimit(random: Random, affluence: number, age: number): number {
  const spread = 0.6 * affluence + 0.5 * normal(random) + 0.01 * Math.min(age - 35, 15);
  const limit = 150_000 * Math.exp(spread);
  return Math.min(1_000_000, Math.max(10_000, 10_000 * Math.round(limit / 10_000)));
}

/** Box-Muller; 1 - u is never 0, whose logarithm would be infinite. */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
