import { resolve } from 'node:path';
import { CodedError } from '../../base/errors.ts';
import type { Run } from '../program.ts';
import { loadIdentity } from './key-store.ts';
import { readSettings } from './settings.ts';
import { formatSshConfig } from './ssh-config.ts';

/** `tsh config`: a block for `~/.ssh/config`. Asks nobody. */
export const configCommand: Run = async (invocation, io) => {
  const { home, profile, user } = await readSettings(invocation, io);
  const identity = profile === undefined ? undefined : loadIdentity(home, profile.proxyHost, user);
  if (profile === undefined || identity === undefined)
    throw new CodedError('not_found', "not logged in: run 'tsh login --proxy=<host>' first");
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
