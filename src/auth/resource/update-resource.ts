import { updateResource as row } from '../../api/operations/resource.ts';
import { implementing } from '../implementing.ts';
import { writeDocument } from './write-document.ts';

/** @throws CodedError `not_found`, `conflict`, `bad_request`, `access_denied` */
export const updateResource = implementing(row, (deps, call, input) =>
  writeDocument(deps, call, 'update', input),
);
