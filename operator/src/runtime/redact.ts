/** What stands for a secret that was left out. */
const blank = '***';

const replacements: [RegExp, string][] = [
  // A connection string's user and password.
  [/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, `$1${blank}@`],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{8,}/gi, `$1 ${blank}`],
  // `password=...`, `"token": "..."`, a signed URL's signature.
  [
    /((?:pass(?:word|wd)?|secret|token|api[_-]?key|access[_-]?key|credential|signature)["']?\s*[=:]\s*["']?)[^\s"'&,;}]+/gi,
    `$1${blank}`,
  ],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, blank],
];

/** The text without what looks like a secret: events can be read by whoever may list them. */
export function redact(text: string): string {
  return replacements.reduce((redacted, [pattern, replacement]) => redacted.replace(pattern, replacement), text);
}
