import type { z } from 'zod';
import type { outlook } from '../../../api/operations/outlook.ts';
import { sizeText } from './log-figures.ts';

type Outlook = z.output<typeof outlook>;

/** For people. Undefined: an auth server that does not report it. */
export function outlookText(outlook: Outlook | undefined): string {
  switch (outlook?.status) {
    case undefined:
      return 'not known: the auth server does not report it';
    case 'not known':
      return `not known: ${outlook.why}`;
    case 'without end':
      return 'the store has no limit';
    case 'lasts': {
      const { freeBytes, of, bytesPerDay, days } = outlook;
      const left = `${sizeText(freeBytes)} are left ${of === 'disk' ? 'on its file system' : 'of its quota'}`;
      return days === undefined
        ? `${left}; nothing was kept lately that would fill it`
        : `${left}: ${daysText(days)} at ${sizeText(bytesPerDay)} a day of state and audit`;
    }
  }
}

function daysText(days: number): string {
  if (days >= 3 * 365) return `about ${Math.min(1_000, Math.floor(days / 365))} years`;
  return days >= 10 ? `about ${Math.floor(days)} days` : `about ${days} days`;
}
