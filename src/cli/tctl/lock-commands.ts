import type { CommandSpec, FlagSpec } from '../args.ts';

/** The command lines that lock, list locks and unlock. */
export const lockCommands = (format: FlagSpec): readonly CommandSpec[] => [
  {
    name: 'lock',
    help: 'Keep a user, a role, a login, a node, a session or a certificate out, at once and on every node.',
    flags: [
      { name: 'user', kind: 'value', help: 'Name of the user.' },
      { name: 'role', kind: 'value', help: 'Name of a role: everybody who has it.' },
      { name: 'login', kind: 'value', help: 'Name of an account on nodes.' },
      { name: 'node', kind: 'value', help: 'UUID or name of a node.' },
      { name: 'session', kind: 'value', help: 'Id of a live session, as session.start has it (sid).' },
      { name: 'serial', kind: 'value', help: 'Serial of a certificate, as cert.create has it.' },
      { name: 'ttl', kind: 'value', help: 'How long it lasts: 30m, 12h [until tctl unlock].' },
      { name: 'message', kind: 'value', help: 'What whoever is locked is told.' },
      format,
    ],
  },
  { name: 'locks ls', help: 'List the locks in force.', flags: [format] },
  {
    name: 'unlock',
    help: 'End a lock.',
    args: [{ name: 'id', help: 'Its id as locks ls prints it.' }],
  },
];
