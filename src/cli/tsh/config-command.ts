import { resolve } from 'node:path';
import { CodedError } from '../../base/errors.ts';
import type { CliIo } from '../cli-io.ts';
import { fingerprint, fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import type { Run } from '../program.ts';
import { loadIdentity } from './login/key-store.ts';
import { readSettings } from './settings.ts';
import { formatSshConfig } from './ssh-config.ts';
import type { ClusterTrust } from './trust/cluster-trust.ts';
import { openTrust } from './trust/open-trust.ts';

/**
 * `tsh config`: a block for `~/.ssh/config`. Makes no calls. `--refresh` prints none: it follows a rotation
 * of the cluster, in the files that the block names.
 */
export const configCommand: Run = async (invocation, io) => {
  const settings = await readSettings(invocation, io);
  const { home, profile, user } = settings;
  const identity = profile === undefined ? undefined : loadIdentity(home, profile.proxyHost, user);
  if (profile === undefined || identity === undefined)
    throw new CodedError('not_found', "not logged in: run 'tsh login --proxy=<host>' first");
  if (invocation.on('refresh')) return refresh(openTrust(identity, profile, settings, io), io);
  const files = home.keyFiles(profile.proxyHost, user);
  io.stdout.write(
    formatSshConfig({
      clusterName: profile.cluster,
      proxyHost: profile.proxyHost,
      ssh: profile.ssh,
      proxyLogin: identity.certificate.principals[0] ?? user,
      knownHostsFile: resolve(home.knownHosts),
      identityFile: resolve(files.privateKey),
      certificateFile: resolve(files.sshCertificate),
    }),
  );
  return 0;
};

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
