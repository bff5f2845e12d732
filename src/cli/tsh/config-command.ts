import { resolve } from 'node:path';
import { CodedError } from '../../base/errors.ts';
import { forwardProxyFor } from '../../base/forward-proxy.ts';
import { formatHostPort } from '../../base/service.ts';
import type { CliIo } from '../cli-io.ts';
import { fingerprint, fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import type { Run } from '../program.ts';
import { loadIdentity } from './login/key-store.ts';
import type { Profile } from './login/profile.ts';
import { readSettings, type Settings } from './settings.ts';
import { formatSshConfig, type TshCall } from './ssh-config.ts';
import type { ClusterTrust } from './trust/cluster-trust.ts';
import { openTrust } from './trust/open-trust.ts';

/**
 * `tsh config`: a block for `~/.ssh/config`. Makes no calls. `--refresh` prints none: it follows a rotation
 * of the cluster, in the files that the block names; of one that the proxy leads to, it asks the proxy's.
 */
export const configCommand: Run = async (invocation, io) => {
  const settings = await readSettings(invocation, io);
  const { home, profile, user } = settings;
  const identity = profile === undefined ? undefined : loadIdentity(home, profile.proxyHost, user);
  if (profile === undefined || identity === undefined)
    throw new CodedError('not_found', "not logged in: run 'tsh login --proxy=<host>' first");
  const clusterName = invocation.text('cluster') ?? profile.cluster;
  if (invocation.on('refresh'))
    return clusterName === identity.clusterName
      ? refresh(openTrust(identity, profile, settings, io), io)
      : refreshLeaf(settings, io, clusterName);
  const files = home.keyFiles(profile.proxyHost, user);
  io.stdout.write(
    formatSshConfig({
      clusterName,
      proxyHost: profile.proxyHost,
      ssh: profile.ssh,
      proxyLogin: identity.certificate.principals[0] ?? user,
      knownHostsFile: resolve(home.knownHosts),
      identityFile: resolve(files.privateKey),
      certificateFile: resolve(files.sshCertificate),
      tsh: needsTsh(profile, io) ? tshCall(profile, user, io) : undefined,
    }),
  );
  return 0;
};

/** Whether stock ssh does not get to the SSH port of the proxy by itself, as far as is known here. */
const needsTsh = ({ way = 'port', ssh }: Profile, { env }: CliIo): boolean =>
  way !== 'port' || forwardProxyFor(env, ssh, 'raw') !== undefined;

function tshCall({ proxyHost, web }: Profile, user: string, { env }: CliIo): TshCall {
  const home = env['TSH_HOME'] ?? '';
  return {
    program: 'tsh',
    proxy: formatHostPort({ host: proxyHost, port: web.port }),
    user,
    home: home === '' ? undefined : resolve(home),
  };
}

async function refreshLeaf(settings: Settings, io: CliIo, clusterName: string): Promise<number> {
  const { openCluster } = await import('./cluster/open-cluster.ts');
  const cluster = await openCluster(settings, io, { cluster: clusterName });
  try {
    return await refresh(cluster.inside, io);
  } finally {
    cluster.close();
  }
}

/** @throws CodedError when the cluster cannot be asked, or its announcement is not accepted. */
async function refresh(trust: ClusterTrust, io: CliIo): Promise<number> {
  const { renewal } = await trust.renew();
  const { clusterName } = trust;
  switch (renewal.status) {
    case 'refused':
      throw new CodedError('access_denied', `${renewal.reason}. Nothing was changed`);
    case 'unreachable':
      throw new CodedError('unavailable', renewal.reason);
    case 'none':
    case 'current':
      io.stdout.write(`The host authorities of cluster ${clusterName} are known here already.\n`);
      return 0;
    case 'renewed': {
      const known = renewal.keys.sshKeys.map((line) => fingerprint(fromAuthorizedKeyLine(line)));
      io.stdout.write(`Host authorities of cluster ${clusterName} from now on: ${known.join(', ')}\n`);
      return 0;
    }
  }
}
