import { printable } from '../../base/printable.ts';
import type { SessionRecording } from '../recording/session-recordings.ts';
import type { SessionContext } from '../session-context.ts';
import type { Size } from './recent-output.ts';
import { SharedTerminal } from './shared-terminal.ts';

/** The session whose terminal others may join. */
export interface Sharing {
  readonly sid: string;
  readonly size: Size;
  readonly recording: SessionRecording | undefined;
  readonly nextIndex: () => number;
  /** Tells its owner, on the terminal. */
  readonly tell: (text: string) => void;
  readonly end: (reason: string) => void;
}

/** Listed until `over` is called; its owner and the recording are told who comes and goes. */
export function shareTerminal(
  { subject, roleNames, liveSessions, shared, idleMs, world }: SessionContext,
  { sid, size, recording, nextIndex, tell, end }: Sharing,
): { readonly terminal: SharedTerminal; readonly over: () => void } {
  const { username: user, login, peer } = subject;
  const terminal = new SharedTerminal({
    ...{ about: { sid, user, login, roleNames }, size, nextIndex, end },
    onGuest: (what, guest) => {
      recording?.took(what, guest);
      liveSessions.changed();
      const how = what === 'joined' ? `joined this session as ${guest.mode}` : 'left this session';
      tell(`\r\n${printable(guest.user)} ${how}.`);
    },
  });
  const from = peer.remoteAddress.host;
  const guests = () => [...terminal.guests];
  const unlist = liveSessions.begin({ sid, user, login, from, startedAt: world.now(), idleMs, guests });
  const remove = shared.add(terminal);
  return {
    terminal,
    over: () => {
      remove();
      unlist();
    },
  };
}
