import type { CommandSpec } from '../../args.ts';
import type { Commands } from '../../program.ts';
import { rotateCommandSpec } from './rotate-command.ts';
import { formatFlag as format } from '../format-flag.ts';

const kubernetesOnly = 'belongs to --format=kubernetes, and this release serves no Kubernetes clusters';

/** The command lines of `tctl auth`. */
export const authCommandSpecs: readonly CommandSpec[] = [
  {
    name: 'auth export',
    help: 'Print the keys of the authorities, for ssh and for TLS.',
    flags: [
      {
        name: 'type',
        kind: 'value',
        choices: ['user', 'host', 'tls'],
        help: 'Which: user, host, or tls, the certificates of the host authority [host and user].',
      },
      { name: 'fingerprint', kind: 'value', help: 'Only the key with this fingerprint: SHA256:…' },
      {
        name: 'compat',
        kind: 'value',
        choices: ['1.0'],
        help: 'Print user authorities as known_hosts has host authorities, as version 1.0 did.',
      },
      {
        name: 'keys',
        kind: 'switch',
        help: 'Print the private keys. Asks to confirm it word for word, and is recorded.',
      },
    ],
  },
  { name: 'auth ls', help: 'List the keys of the authorities, and which of them sign.', flags: [format] },
  {
    name: 'auth sign',
    help: 'Create an identity for a user, or the certificate of an SSH server.',
    flags: [
      { name: 'user', kind: 'value', help: 'Name of the user.' },
      { name: 'host', kind: 'value', help: 'Comma separated names of the SSH server.' },
      { name: 'out', short: 'o', kind: 'value', required: true, help: 'File to write, or how files begin.' },
      {
        name: 'format',
        kind: 'value',
        choices: ['file', 'openssh', 'tls', 'kubernetes'],
        help: 'file: one file for tsh -i and tctl -i; openssh: key and certificate; tls: key, certificate, authorities [file].',
      },
      { name: 'ttl', kind: 'value', default: '12h', help: 'How long it holds.' },
      {
        name: 'compat',
        kind: 'value',
        choices: ['standard', 'oldssh'],
        default: 'standard',
        help: 'oldssh: a certificate that OpenSSH 7.1 and older read.',
      },
      {
        name: 'admin',
        kind: 'switch',
        default: 'true',
        help: 'Let tctl -i administer the cluster with it, if its user has the role admin.',
      },
      {
        name: 'force',
        kind: 'switch',
        help: 'For longer than roles allow; with --host also with names that a host of the cluster has. Is recorded.',
      },
      { name: 'proxy', kind: 'value', hidden: true, help: '', refuse: kubernetesOnly },
      { name: 'kube-cluster', kind: 'value', hidden: true, help: '', refuse: kubernetesOnly },
    ],
  },
  rotateCommandSpec,
  {
    name: 'auth gen',
    help: 'Generate a key pair.',
    hidden: true,
    flags: [
      { name: 'pub-key', kind: 'value', required: true, help: 'File for the public key.' },
      { name: 'priv-key', kind: 'value', required: true, help: 'File for the private key.' },
    ],
  },
  {
    name: 'auth identities ls',
    help: 'List the identities that were signed and still hold.',
    flags: [{ name: 'all', kind: 'switch', help: 'Also those that have ended.' }, format],
  },
];

/** Their code, loaded on demand. */
export const authCommands: Commands = {
  'auth export': async () => (await import('./export-authorities.ts')).exportAuthorities,
  'auth ls': async () => (await import('./list-keys.ts')).listKeys,
  'auth sign': async () => (await import('./sign.ts')).sign,
  'auth rotate': async () => (await import('./rotate.ts')).rotate,
  'auth gen': async () => (await import('./generate-keys.ts')).generateKeys,
  'auth identities ls': async () => (await import('./list-identities.ts')).listSignedIdentities,
};
