import { Hono } from 'hono';
import QRCode from 'qrcode';
import { announcedOf } from '../../api/announced-authority.ts';
import { type HostSigner } from '../../api/operations/cluster.ts';
import { acceptInvite } from '../../api/operations/invite.ts';
import { logIn } from '../../api/operations/user.ts';
import { readBody } from '../../api/read-body.ts';
import { CodedError } from '../../base/errors.ts';
import { formatHostPort } from '../../base/service.ts';
import { version } from '../../base/version.ts';
import type { AuthorityKey } from '../../domain/authority-facts.ts';
import { trustedKeys } from '../../domain/authority-state.ts';
import { fingerprint, fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { cameFrom } from './came-from.ts';
import { ownApi } from './own-api.ts';
import { certsRequest, fromBase64, readJson, toBase64, tokenRequest, ttlSecondsOf } from './api-requests.ts';
import { checkCsrf } from './csrf.ts';
import { checkToken, openLink } from './open-link.ts';
import type { WebDeps, WebEnv } from './web-env.ts';
import { badRequest, jsonError } from './web-errors.ts';

const minClientVersion = '3.0.0';
const maxBodyBytes = 256 * 1024;

/** JSON calls of tsh and of pages. Each exists with and without `/v1`. */
export function webApi(deps: WebDeps): Hono<WebEnv> {
  const api = new Hono<WebEnv>();
  api.onError((e, c) => jsonError(c, e, deps.sink));
  api.use(async (c, next) => {
    await next();
    c.header('Cache-Control', 'no-cache, no-store, must-revalidate');
    c.header('Pragma', 'no-cache');
    c.header('Expires', '0');
  });

  api.get('/ping', (c) => c.json(pingAnswer(deps, minClientVersion)));
  api.get('/ping/:connector', (c) => {
    const connector = c.req.param('connector');
    if (connector !== 'local') throw badRequest(`invalid connector name ${connector}`);
    return c.json(pingAnswer(deps, ''));
  });
  api.get('/find', (c) =>
    c.json({
      auth: { type: '' },
      proxy: addressesOf(deps),
      server_version: version,
      min_client_version: minClientVersion,
    }),
  );

  api.get('/authorities', (c) => c.json(authoritiesAnswer(deps)));

  api.post('/ssh/certs', async (c) => {
    const asked = readJson(await readBody(c, maxBodyBytes), certsRequest);
    const found = await deps.auth.call(logIn, {
      username: asked.user,
      password: asked.password,
      otp: asked.hotp_token === '' ? asked.otp_token : asked.hotp_token,
      publicKey: fromBase64(asked.pub_key, 'pub_key').trim(),
      ttlSeconds: ttlSecondsOf(asked.ttl),
      format: asked.compatibility === 'oldssh' ? 'oldssh' : 'standard',
      routeToCluster: asked.RouteToCluster,
      ...cameFrom(c.get('origin')),
      addressIsShared: c.get('origin').shared,
    });
    return c.json({
      username: found.username,
      cert: toBase64(`${found.sshCertificate}\n`),
      tls_cert: toBase64(found.tlsCertificatePem),
      host_signers: found.hostSigners.map(signerJson),
      // Not of 4.4, whose clients ignore it.
      ...(found.request && {
        request_access: found.request.access,
        request_prompt: found.request.prompt,
      }),
    });
  });

  api.get('/users/password/token/:token', async (c) => {
    const token = c.req.param('token');
    const { username, otpUrl } = await openLink(deps.auth, token, c.get('origin').address);
    const qrCode = otpUrl === '' ? '' : (await QRCode.toBuffer(otpUrl, { width: 456 })).toString('base64');
    return c.json({ tokenId: token, user: username, qrCode });
  });
  api.put('/users/password/token', async (c) => {
    checkCsrf(c, c.req.header('x-csrf-token'));
    const asked = readJson(await readBody(c, maxBodyBytes), tokenRequest);
    checkToken(asked.token);
    const { username } = await deps.auth.call(acceptInvite, {
      token: asked.token,
      password: fromBase64(asked.password, 'password'),
      otp: asked.second_factor_token,
      ...cameFrom(c.get('origin')),
    });
    return c.json({ user: username });
  });
  api.route('/users', ownApi(deps));
  return api;
}

/** @throws CodedError `unavailable` before auth has replied for the first time. */
function pingAnswer(deps: WebDeps, minimum: string): object {
  const cluster = deps.cluster();
  if (cluster.status === 'absent')
    throw new CodedError('unavailable', 'this proxy does not know its cluster yet: auth has not answered');
  return {
    auth: { type: 'local', second_factor: cluster.secondFactor },
    proxy: addressesOf(deps),
    server_version: version,
    min_client_version: minimum,
  };
}

/** Without the actor who withdrew a key, which is not public. */
function authoritiesAnswer({ clusterName, hostAuthority, userAuthority }: WebDeps): object {
  const { announcement, withdrawn } = announcedOf(hostAuthority());
  const [signer] = trustedKeys(userAuthority());
  return {
    cluster_name: clusterName,
    host: {
      ...(announcement === undefined ? {} : { announcement }),
      withdrawn: withdrawn.map(({ fingerprint, caPin, at, why }) => ({
        fingerprint,
        ca_pin: caPin,
        at,
        why,
      })),
    },
    ...(signer === undefined ? {} : { user: { signs: fingerprintOf(signer) } }),
  };
}

const fingerprintOf = ({ sshPublicKey }: AuthorityKey): string =>
  fingerprint(fromAuthorizedKeyLine(sshPublicKey));

function addressesOf(deps: WebDeps): object {
  const { sshAddress, publicAddress, sshPublicAddress, tunnelAddress, tunnelPublicAddress } = deps;
  const tunnel = tunnelAddress();
  const optional = (key: string, value: string): object => (value === '' ? {} : { [key]: value });
  return {
    kube: {},
    ssh: {
      listen_addr: formatHostPort(sshAddress()),
      ...optional('tunnel_listen_addr', tunnel === undefined ? '' : formatHostPort(tunnel)),
      ...optional('public_addr', publicAddress),
      ...optional('ssh_public_addr', sshPublicAddress),
      ...optional('ssh_tunnel_public_addr', tunnelPublicAddress),
      web_ways: deps.webWays,
    },
  };
}

const signerJson = (signer: HostSigner): object => ({
  domain_name: signer.clusterName,
  checking_keys: signer.checkingKeys.map((line) => toBase64(`${line}\n`)),
  tls_certs: signer.tlsCertificatesPem.map(toBase64),
});
