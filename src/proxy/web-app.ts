import { Hono } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import type { WebDeps, WebEnv } from './web-env.ts';
import { webApi } from './web-api.ts';
import { webPages } from './web-pages.ts';

/** Every route of the web port; `app.request()` in tests. */
export function webApp(deps: WebDeps, requestId: () => string): Hono<WebEnv> {
  const app = new Hono<WebEnv>();
  app.use(async (c, next) => {
    c.set('requestId', requestId());
    await next();
  });
  // The address of an invite page is a secret: it must not travel in a Referer.
  app.use(
    secureHeaders({ referrerPolicy: 'no-referrer', xFrameOptions: 'DENY', strictTransportSecurity: false }),
  );
  app.use(async (c, next) => {
    await next();
    if (c.env.secure) c.header('Strict-Transport-Security', 'max-age=31536000');
  });
  const api = webApi(deps);
  app.route('/webapi', api);
  app.route('/v1/webapi', api);
  app.route('/', webPages(deps));
  app.notFound((c) => c.json({ message: `there is no ${c.req.method} ${c.req.path} here` }, 404));
  return app;
}
