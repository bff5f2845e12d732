import ts from 'typescript';

/** One small change of a source file. */
export interface Change {
  readonly start: number;
  readonly end: number;
  /** What kind of change, for the report. */
  readonly kind: string;
  /** An expression takes the place of the old one; a statement is left out. */
  readonly to: { readonly expression: string } | 'left out';
}

/** Calls that only log or count. */
const noisy = /\b(?:#?log|#?sink|#?logger|#?metrics)\??\.(?:info|warn|debug|error|add|set|observe|say)\(/;

/** All changes of a file that its tests should notice, in the order of their places. */
export function changesOf(file: ts.SourceFile, checker: ts.TypeChecker): Change[] {
  const found: Change[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return;
    if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) || ts.isImportDeclaration(node))
      return;
    for (const rule of rules) found.push(...rule(node, file, checker));
    ts.forEachChild(node, visit);
  };
  ts.forEachChild(file, visit);
  return found.sort((a, b) => a.start - b.start || b.end - a.end);
}

type Rule = (node: ts.Node, file: ts.SourceFile, checker: ts.TypeChecker) => readonly Change[];

const place = (node: ts.Node, file: ts.SourceFile): Pick<Change, 'start' | 'end'> => ({
  start: node.getStart(file),
  end: node.end,
});
const replaced = (node: ts.Node, file: ts.SourceFile, kind: string, expression: string): Change => ({
  ...place(node, file),
  kind,
  to: { expression },
});
const leftOut = (node: ts.Node, file: ts.SourceFile, kind: string): Change => ({
  ...place(node, file),
  kind,
  to: 'left out',
});

function negated(node: ts.Expression, file: ts.SourceFile): string {
  return ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken
    ? node.operand.getText(file)
    : `!(${node.getText(file)})`;
}

/** Whether a branch never goes on behind the `if`. */
function leaves(statement: ts.Statement): boolean {
  if (!ts.isBlock(statement))
    return (
      ts.isThrowStatement(statement) ||
      ts.isReturnStatement(statement) ||
      ts.isContinueStatement(statement) ||
      ts.isBreakStatement(statement)
    );
  const last = statement.statements.at(-1);
  return last !== undefined && leaves(last);
}

const conditions: Rule = (node, file) => {
  if (ts.isConditionalExpression(node))
    return [replaced(node.condition, file, 'condition negated', negated(node.condition, file))];
  if (ts.isWhileStatement(node) && node.expression.kind !== ts.SyntaxKind.TrueKeyword)
    return [replaced(node.expression, file, 'loop never entered', 'false')];
  if (!ts.isIfStatement(node)) return [];
  const { expression, thenStatement, elseStatement } = node;
  const negation = replaced(expression, file, 'condition negated', negated(expression, file));
  return leaves(thenStatement) && elseStatement === undefined
    ? [negation, replaced(expression, file, 'guard left out', 'false')]
    : [negation];
};

const comparisons = new Map<ts.SyntaxKind, string>([
  [ts.SyntaxKind.LessThanToken, '<='],
  [ts.SyntaxKind.LessThanEqualsToken, '<'],
  [ts.SyntaxKind.GreaterThanToken, '>='],
  [ts.SyntaxKind.GreaterThanEqualsToken, '>'],
  [ts.SyntaxKind.EqualsEqualsEqualsToken, '!=='],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, '==='],
]);

const operators: Rule = (node, file, checker) => {
  if (!ts.isBinaryExpression(node)) return [];
  const [left, right] = [node.left.getText(file), node.right.getText(file)];
  const comparison = comparisons.get(node.operatorToken.kind);
  if (comparison !== undefined)
    return [replaced(node, file, 'comparison changed', `(${left}) ${comparison} (${right})`)];
  const { kind } = node.operatorToken;
  if (kind === ts.SyntaxKind.AmpersandAmpersandToken)
    return [
      replaced(node, file, '&& became ||', `(${left}) || (${right})`),
      replaced(node, file, 'right of && left out', left),
    ];
  if (kind === ts.SyntaxKind.BarBarToken)
    return [
      replaced(node, file, '|| became &&', `(${left}) && (${right})`),
      replaced(node, file, 'right of || left out', left),
    ];
  if (kind === ts.SyntaxKind.QuestionQuestionToken) return [replaced(node, file, 'fallback left out', left)];
  if (kind === ts.SyntaxKind.MinusToken)
    return [replaced(node, file, '- became +', `(${left}) + (${right})`)];
  return kind === ts.SyntaxKind.PlusToken && isNumber(node.left, checker) && isNumber(node.right, checker)
    ? [replaced(node, file, '+ became -', `(${left}) - (${right})`)]
    : [];
};

const isNumber = (node: ts.Expression, checker: ts.TypeChecker): boolean =>
  (checker.getTypeAtLocation(node).flags & (ts.TypeFlags.NumberLike | ts.TypeFlags.BigIntLike)) !== 0;
const isBoolean = (node: ts.Expression, checker: ts.TypeChecker): boolean => {
  const type = checker.getTypeAtLocation(node);
  const all = type.isUnion() ? type.types : [type];
  return all.every((one) => (one.flags & ts.TypeFlags.BooleanLike) !== 0);
};
const isLiteral = (node: ts.Expression): boolean =>
  node.kind === ts.SyntaxKind.TrueKeyword || node.kind === ts.SyntaxKind.FalseKeyword;

const statements: Rule = (node, file) => {
  if (ts.isThrowStatement(node)) return [leftOut(node, file, 'throw left out')];
  if (!ts.isExpressionStatement(node)) return [];
  let { expression } = node;
  if (ts.isAwaitExpression(expression) || ts.isVoidExpression(expression)) ({ expression } = expression);
  if (ts.isCallExpression(expression)) {
    const said = expression.getText(file);
    return expression.expression.kind === ts.SyntaxKind.SuperKeyword || noisy.test(said)
      ? []
      : [leftOut(node, file, 'call left out')];
  }
  const assigns =
    ts.isBinaryExpression(expression) &&
    expression.operatorToken.kind >= ts.SyntaxKind.FirstAssignment &&
    expression.operatorToken.kind <= ts.SyntaxKind.LastAssignment;
  return assigns && !isInConstructor(node) ? [leftOut(node, file, 'assignment left out')] : [];
};

function isInConstructor(node: ts.Node): boolean {
  for (let one = node.parent; !ts.isSourceFile(one); one = one.parent) {
    if (ts.isConstructorDeclaration(one)) return true;
    if (ts.isFunctionLike(one)) return false;
  }
  return false;
}

const literals: Rule = (node, file) => {
  if (ts.isLiteralTypeNode(node.parent)) return [];
  if (ts.isNumericLiteral(node)) {
    const isName = ts.isPropertyAssignment(node.parent) && node.parent.name === node;
    const number = Number(node.text.replaceAll('_', ''));
    return isName ? [] : [replaced(node, file, 'number changed', String(number + 1))];
  }
  if (node.kind === ts.SyntaxKind.TrueKeyword && !ts.isWhileStatement(node.parent))
    return [replaced(node, file, 'true became false', 'false')];
  if (node.kind === ts.SyntaxKind.FalseKeyword) return [replaced(node, file, 'false became true', 'true')];
  return [];
};

const returns: Rule = (node, file, checker) => {
  let value: ts.Expression | undefined;
  if (ts.isReturnStatement(node)) value = node.expression;
  else if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) value = node.body;
  return value !== undefined && !isLiteral(value) && isBoolean(value, checker)
    ? [replaced(value, file, 'return value negated', negated(value, file))]
    : [];
};

const waits: Rule = (node, file) =>
  ts.isAwaitExpression(node) ? [replaced(node, file, 'not waited for', node.expression.getText(file))] : [];

const calls: Rule = (node, file, checker) => {
  if (!ts.isCallExpression(node)) return [];
  return [...onCollections(node, file), ...argumentsSwapped(node, file, checker)];
};

function onCollections(node: ts.CallExpression, file: ts.SourceFile): Change[] {
  if (!ts.isPropertyAccessExpression(node.expression)) return [];
  const of = node.expression.expression.getText(file);
  const given = node.arguments.map((one) => one.getText(file)).join(', ');
  switch (node.expression.name.text) {
    case 'some':
      return [replaced(node, file, 'some became every', `${of}.every(${given})`)];
    case 'every':
      return [replaced(node, file, 'every became some', `${of}.some(${given})`)];
    case 'filter':
      return node.arguments.length === 1 ? [replaced(node, file, 'filter left out', of)] : [];
    default:
      return [];
  }
}

function argumentsSwapped(node: ts.CallExpression, file: ts.SourceFile, checker: ts.TypeChecker): Change[] {
  const [first, second, ...others] = node.arguments;
  if (first === undefined || second === undefined || node.questionDotToken) return [];
  if ([first, second].some((one) => ts.isFunctionLike(one) || ts.isSpreadElement(one))) return [];
  const [a, b] = [first, second].map((one) =>
    checker.getBaseTypeOfLiteralType(checker.getTypeAtLocation(one)),
  ) as [ts.Type, ts.Type];
  const alike = checker.isTypeAssignableTo(a, b) && checker.isTypeAssignableTo(b, a);
  if (!alike || (a.flags & ts.TypeFlags.Any) !== 0 || first.getText(file) === second.getText(file)) return [];
  const given = [second, first, ...others].map((one) => one.getText(file)).join(', ');
  return [replaced(node, file, 'arguments swapped', `${node.expression.getText(file)}(${given})`)];
}

const rules: readonly Rule[] = [conditions, operators, statements, literals, returns, waits, calls];
