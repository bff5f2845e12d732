import { Hono } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import { originOf } from '../client-address.ts';
import { contentPolicy } from './style.ts';
import { webApi } from './web-api.ts';
import type { WebDeps, WebEnv } from './web-env.ts';
import { jsonError } from './web-errors.ts';
import { webPages } from './web-pages.ts';

const yearSeconds = 365 * 24 * 3600;

/** Every route of the web port; `app.request()` in tests. */
export function webApp(deps: WebDeps): Hono<WebEnv> {
  const app = new Hono<WebEnv>();
  app.use(async (c, next) => {
    c.set('requestId', deps.world.uuid());
    c.set(
      'origin',
      originOf(c.env.incoming.socket, (name) => c.req.header(name), deps.balancers),
    );
    await next();
  });
  // The address of an invite page is a secret: it must not be sent in a Referer.
  app.use(
    secureHeaders({ referrerPolicy: 'no-referrer', xFrameOptions: 'DENY', strictTransportSecurity: false }),
  );
  app.use(async (c, next) => {
    await next();
    c.header('Content-Security-Policy', contentPolicy);
    if (!c.res.headers.has('cache-control')) c.header('Cache-Control', 'no-store');
    if (deps.tlsOnly && c.get('origin').secure)
      c.header('Strict-Transport-Security', `max-age=${yearSeconds}`);
  });
  const api = webApi(deps);
  app.route('/webapi', api);
  app.route('/v1/webapi', api);
  app.route('/', webPages(deps));
  app.onError((e, c) => jsonError(c, e, deps.sink));
  app.notFound((c) => c.json({ message: `there is no ${c.req.method} ${c.req.path} here` }, 404));
  return app;
}
