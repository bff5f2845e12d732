import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import QRCode from 'qrcode';
import { z } from 'zod';
import { acceptInvite, logIn, readAuthPreference, readInvite, type HostSigner } from '../api/operations.ts';
import { formatHostPort } from '../base/service.ts';
import { version } from '../base/version.ts';
import { clientAddress } from './client-address.ts';
import { checkCsrf } from './csrf.ts';
import type { WebDeps, WebEnv } from './web-env.ts';
import { badRequest, jsonError } from './web-errors.ts';

const minClientVersion = '3.0.0';
const maxBodyBytes = 256 * 1024;
const nanosecondsPerSecond = 1_000_000_000;
const defaultTtlSeconds = 12 * 3600;

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const fromBase64 = (text: string): string => Buffer.from(text, 'base64').toString('utf8');

/** Field names and the odd capital are those of clients of 4.4. */
const certsRequest = z.object({
  user: z.string().min(1).max(128),
  password: z.string().max(65_536),
  otp_token: z.string().max(16).default(''),
  hotp_token: z.string().max(16).default(''),
  /** base64 of an authorized_keys line */
  pub_key: z.string().min(1).max(24_000),
  /** nanoseconds */
  ttl: z.number().int().nonnegative().default(0),
  compatibility: z.enum(['', 'standard', 'oldssh']).default(''),
  RouteToCluster: z.string().max(255).default(''),
});

const tokenRequest = z.object({
  token: z.string().max(128),
  /** base64 */
  password: z.string().max(100_000),
  second_factor_token: z.string().max(16).default(''),
});

async function body<S extends z.ZodType>(
  request: { text(): Promise<string> },
  schema: S,
): Promise<z.output<S>> {
  let value: unknown;
  try {
    value = JSON.parse(await request.text());
  } catch {
    throw badRequest('the request is not JSON');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw badRequest(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`);
}

/** JSON calls that tsh and pages make. Each stands with and without `/v1`. */
export function webApi(deps: WebDeps): Hono<WebEnv> {
  const api = new Hono<WebEnv>();
  api.onError((e, c) => jsonError(c, e, deps.sink));
  api.use(
    bodyLimit({
      maxSize: maxBodyBytes,
      onError: (c) => c.json({ message: 'the request is too large' }, 413),
    }),
  );
  api.use(async (c, next) => {
    await next();
    c.header('Cache-Control', 'no-cache, no-store, must-revalidate');
    c.header('Pragma', 'no-cache');
    c.header('Expires', '0');
  });

  const proxyPart = (): object => {
    const optional = (key: string, value: string): object => (value === '' ? {} : { [key]: value });
    return {
      kube: {},
      ssh: {
        listen_addr: formatHostPort(deps.sshAddress()),
        ...optional('public_addr', deps.publicAddress),
        ...optional('ssh_public_addr', deps.sshPublicAddress),
      },
    };
  };
  const ping = async (minimum: string): Promise<object> => {
    const { type, secondFactor } = await deps.auth.call(readAuthPreference, {});
    return {
      auth: { type, second_factor: secondFactor },
      proxy: proxyPart(),
      server_version: version,
      min_client_version: minimum,
    };
  };
  api.get('/ping', async (c) => c.json(await ping(minClientVersion)));
  api.get('/ping/:connector', async (c) => {
    const connector = c.req.param('connector');
    if (connector !== 'local') throw badRequest(`invalid connector name ${connector}`);
    return c.json(await ping(''));
  });
  api.get('/find', (c) =>
    c.json({
      auth: { type: '' },
      proxy: proxyPart(),
      server_version: version,
      min_client_version: minClientVersion,
    }),
  );

  api.post('/ssh/certs', async (c) => {
    const asked = await body(c.req, certsRequest);
    const found = await deps.auth.call(logIn, {
      username: asked.user,
      password: asked.password,
      otp: asked.hotp_token === '' ? asked.otp_token : asked.hotp_token,
      publicKey: fromBase64(asked.pub_key).trim(),
      ttlSeconds:
        asked.ttl === 0 ? defaultTtlSeconds : Math.max(1, Math.floor(asked.ttl / nanosecondsPerSecond)),
      format: asked.compatibility === 'oldssh' ? 'oldssh' : 'standard',
      routeToCluster: asked.RouteToCluster,
      clientAddress: clientAddress(c.env.incoming),
    });
    return c.json({
      username: found.username,
      cert: base64(`${found.sshCertificate}\n`),
      tls_cert: base64(found.tlsCertificatePem),
      host_signers: found.hostSigners.map(signerJson),
    });
  });

  api.get('/users/password/token/:token', async (c) => {
    const token = c.req.param('token');
    const invite = await deps.auth.call(readInvite, { token });
    const qrCode =
      invite.otpUrl === '' ? '' : (await QRCode.toBuffer(invite.otpUrl, { width: 456 })).toString('base64');
    return c.json({ tokenId: token, user: invite.username, qrCode });
  });
  api.put('/users/password/token', async (c) => {
    checkCsrf(c, c.req.header('x-csrf-token'));
    const asked = await body(c.req, tokenRequest);
    const { username } = await deps.auth.call(acceptInvite, {
      token: asked.token,
      password: fromBase64(asked.password),
      otp: asked.second_factor_token,
      clientAddress: clientAddress(c.env.incoming),
    });
    return c.json({ user: username });
  });
  return api;
}

const signerJson = (signer: HostSigner): object => ({
  domain_name: signer.clusterName,
  checking_keys: signer.checkingKeys.map((line) => base64(`${line}\n`)),
  tls_certs: signer.tlsCertificatesPem.map(base64),
});
