import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import express, { Router } from 'express';
import { countAs } from '../http/request-context.ts';
import { open, route } from '../http/routing.ts';
import { sendHtml, sendJsonText } from '../http/send.ts';

/** The files of Swagger UI that its page needs; the rest of the package is not served. */
const assets = /^\/(?:swagger-ui\.css|swagger-ui-bundle\.js|favicon-(?:16x16|32x32)\.png)$/;

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Credit-risk predictions: API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png" sizes="32x32">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

const startScript = `window.ui = SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
`;

/** `GET /openapi.json`, and its interactive pages at `GET /docs`, whose files come from this server and no other. */
export function docsRoutes(document: unknown): Router {
  const router = Router();
  const text = JSON.stringify(document);
  route(router, '/openapi.json', open, { get: (_request, response) => sendJsonText(response, 200, text) });
  // With and without a slash at the end.
  route(router, '/docs', open, { get: (_request, response) => sendHtml(response, page) });
  route(router, '/docs/start.js', open, {
    get: (_request, response) => {
      response.setHeader('Content-Type', 'text/javascript; charset=utf-8');
      response.end(startScript);
    },
  });
  const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  const files = express.static(folder, { index: false, redirect: false, maxAge: '1h' });
  router.use('/docs', (request, response, next) => {
    if (!assets.test(request.path)) {
      next();
      return;
    }
    countAs(request, '/docs/{file}');
    files(request, response, next);
  });
  return router;
}
