import type { ExitStatus } from '../../ssh/channel-types.ts';

/** How a program ended, for the recording of its session. */
export function exitText(exit: ExitStatus): string {
  switch (exit.status) {
    case 'exited':
      return `exit ${exit.code}`;
    case 'signalled':
      return `signal ${exit.signal}`;
    case 'unknown':
      return 'unknown';
  }
}
