import type { ChangeEvent } from '../../../api/operations/access.ts';
import { printableLine } from '../../../base/printable.ts';

/** `2026-01-01T00:00:00.000Z role.updated role/dev by user:ann, request r1, event 12` */
export const changeText = ({ type, resource, at, actor, requestId, position }: ChangeEvent): string =>
  printableLine(`${at} ${type} ${resource} by ${actor}, request ${requestId}, event ${position}`);

/** Of a change that nobody made when it happened. */
export const ranOutText = (at: string): string => `${at} a lock had run out by then`;
