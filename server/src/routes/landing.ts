import type { Model } from '@riskmodel/core/model/model.ts';
import { Router } from 'express';
import { escapeHtml } from '../http/html.ts';
import { open, route } from '../http/routing.ts';
import { sendHtml } from '../http/send.ts';
import type { ServedModels } from '../serving/served-models.ts';

/** `GET /`: what is served here and where to go on, for people. */
export function landingRoutes(models: ServedModels): Router {
  const router = Router();
  const html = landingPage([...models].map(({ model }) => model));
  route(router, '/', open, { get: (_request, response) => sendHtml(response, html) });
  return router;
}

function landingPage(models: readonly Model[]): string {
  const rows = models.map(
    ({ name, version, sha256, encoder, manifest }) =>
      `<tr><td>${escapeHtml(name)}</td><td>${escapeHtml(version)}</td><td>${encoder.width}</td>` +
      `<td>${manifest.spec.decision.threshold}</td><td><code>${escapeHtml(sha256.slice(0, 12))}</code></td>` +
      `<td><a href="/v2/models/${encodeURIComponent(name)}">metadata</a></td></tr>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Credit-risk predictions</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 3rem auto; padding: 0 1rem; color: #1b1f24 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #d0d7de }
a { color: #0757b8 }
</style>
</head>
<body>
<h1>Credit-risk predictions</h1>
<table>
<thead><tr><th>Model</th><th>Version</th><th>Features</th><th>Threshold</th><th>SHA-256</th><th></th></tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>
<ul>
<li><a href="/docs">API documentation</a>, to try every call (<a href="/openapi.json">OpenAPI</a>)</li>
<li><a href="/batches">Batches</a></li>
<li><a href="/metrics">Metrics</a>, <a href="/readyz">readiness</a></li>
</ul>
</body>
</html>
`;
}
