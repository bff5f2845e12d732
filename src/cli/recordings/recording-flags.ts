import type { FlagSpec } from '../program-spec.ts';

/** Which recordings: of all commands that list them. */
export const recordingFlags: readonly FlagSpec[] = [
  { name: 'from', kind: 'value', default: '24h', help: 'RFC 3339 time, or how long ago: 2h, 30m.' },
  { name: 'to', kind: 'value', help: 'RFC 3339 time, or how long ago [now].' },
  { name: 'user', kind: 'value', help: 'Only sessions of this user.' },
  { name: 'node', kind: 'value', help: 'Only sessions on this machine: its name or id.' },
  { name: 'limit', kind: 'value', default: '500', help: 'At most this many, the newest.' },
];
