import { CodedError } from '../../base/errors.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import { type RoleDocument, roleKind, specOfRole } from '../../domain/resources/role.ts';
import { readDocument } from '../resource/read-document.ts';
import type { RolesByName } from './known-people.ts';

/** Roles of files, as if they had been written. @throws CodedError `bad_request` for what is no role. */
export const rolesIn = (documents: readonly ResourceDocument[]): RolesByName =>
  new Map(
    documents.map((given) => {
      const document = readDocument(given);
      if (document.kind !== roleKind.kind)
        throw new CodedError(
          'bad_request',
          `roles: a document of kind ${document.kind}, and only roles are tested`,
        );
      const spec = specOfRole(document as RoleDocument);
      return [spec.name, spec];
    }),
  );
