//! CommonJS: what is asked for and exported, told from tokens.

use expect_test::expect;

use crate::check::check;

const PACKAGE: &str = "/node_modules/p/index.js";

#[test]
fn requires() {
    check(
        PACKAGE,
        "#!/usr/bin/env node\n'use strict';\nvar a = require('a'), b = require(\"b/c.js\")(x);\ntry { require('optional') } catch (e) { require('needed') }\nfoo.require('no'); require(x); require(`t`); require('d' + e);\n// require('comment')\nvar s = \"require('string')\", r = /require('regex')/, t = `${require('template')}`;\nif (typeof require === 'function') require.resolve('x');\n",
        &expect![[r#"
        CommonJs Require "a" Require "b/c.js" OptionalRequire "optional" Require "needed" Require "t" Require "template"
        function(exports,module,require){
        'use strict';
        var a = require('a'), b = require("b/c.js")(x);
        try { require('optional') } catch (e) { require('needed') }
        foo.require('no'); require(x); require(`t`); require('d' + e);
        // require('comment')
        var s = "require('string')", r = /require('regex')/, t = `${require('template')}`;
        if (typeof require === 'function') require.resolve('x');

        }
    "#]],
    );
}

#[test]
fn require_as_a_parameter() {
    check(
        PACKAGE,
        "(function (factory) { factory(require, exports) })(function (require, exports) { require('./real'); });\nrequire('after');\n",
        &expect![[r#"
        CommonJs OptionalRequire "./real" Require "after"
        function(exports,module,require){(function (factory) { factory(require, exports) })(function (require, exports) { require('./real'); });
        require('after');

        }
    "#]],
    );
}

#[test]
fn dynamic_imports() {
    check(
        PACKAGE,
        "exports.load = () => import('./x');\nimport(y);\na.import('z');\nclass A { import() {} static async import(a) { if (import('w')) {} } }\n",
        &expect![[r#"
            CommonJs Dynamic "./x" Dynamic "w" exports load
            function(exports,module,require){exports.load = () => require.import('./x');
            require.import(y);
            a.import('z');
            class A { import() {} static async import(a) { if (require.import('w')) {} } }

            }
        "#]],
    );
}

#[test]
fn branches_of_node_env() {
    check(
        PACKAGE,
        "'use strict';\n\nif (process.env.NODE_ENV === 'production') {\n  module.exports = require('./cjs/react.production.js');\n} else {\n  module.exports = require('./cjs/react.development.js');\n}\n",
        &expect![[r#"
        CommonJs Require "./cjs/react.development.js" reexports ["./cjs/react.development.js"]
        function(exports,module,require){'use strict';

        if ("development" === 'production') {
          module.exports = require('./cjs/react.production.js');
        } else {
          module.exports = require('./cjs/react.development.js');
        }

        }
    "#]],
    );
    check(
        PACKAGE,
        "if ('production' !== process.env.NODE_ENV) { require('dev') } else if (x) { require('no') } else require('no');\nrequire('yes');\n",
        &expect![[r#"
        CommonJs Require "dev" Require "yes"
        function(exports,module,require){if ('production' !== "development") { require('dev') } else if (x) { require('no') } else require('no');
        require('yes');

        }
    "#]],
    );
    check(
        PACKAGE,
        "if (process.env.NODE_ENV == 'production') require('no');\nelse require('dev');\nif (process.env.NODE_ENV != 'production') require('dev2')\nelse require('no')\nrequire('yes')\n",
        &expect![[r#"
        CommonJs Require "dev" Require "dev2" Require "yes"
        function(exports,module,require){if ("development" == 'production') require('no');
        else require('dev');
        if ("development" != 'production') require('dev2')
        else require('no')
        require('yes')

        }
    "#]],
    );
    check(
        PACKAGE,
        "module.exports = process.env.NODE_ENV === 'production' ? require('no') : require('dev');\nvar a = process.env['NODE_ENV'] !== 'production' ? (x ? 1 : require('dev2')) : require('no'), b = require('yes');\n",
        &expect![[r#"
        CommonJs Require "dev" Require "dev2" Require "yes"
        function(exports,module,require){module.exports = "development" === 'production' ? require('no') : require('dev');
        var a = "development" !== 'production' ? (x ? 1 : require('dev2')) : require('no'), b = require('yes');

        }
    "#]],
    );
    check(
        PACKAGE,
        "process.env.NODE_ENV === 'production' && (function () { require('no') })();\n'production' !== process.env.NODE_ENV && (function () { exports.dev = 1 })();\nx || process.env.NODE_ENV === 'test' ? require('a') : require('b');\nprocess.env.NODE_ENV = 'x'; process.env.OTHER;\n",
        &expect![[r#"
        CommonJs Require "a" Require "b" exports dev
        function(exports,module,require){"development" === 'production' && (function () { require('no') })();
        'production' !== "development" && (function () { exports.dev = 1 })();
        x || "development" === 'test' ? require('a') : require('b');
        process.env.NODE_ENV = 'x'; process.env.OTHER;

        }
    "#]],
    );
}

#[test]
fn exports_by_assignment() {
    check(
        PACKAGE,
        "exports.a = exports.b = void 0;\nmodule.exports.c = 1;\nexports['d-e'] = 2;\nObject.defineProperty(exports, '__esModule', { value: true });\nObject.defineProperty(module.exports, \"f\", { get: function () {} });\nexports.no == 1;\nx.exports.no = 1;\n",
        &expect![[r#"
        CommonJs exports a,b,c,d-e,__esModule,f
        function(exports,module,require){exports.a = exports.b = void 0;
        module.exports.c = 1;
        exports['d-e'] = 2;
        Object.defineProperty(exports, '__esModule', { value: true });
        Object.defineProperty(module.exports, "f", { get: function () {} });
        exports.no == 1;
        x.exports.no = 1;

        }
    "#]],
    );
    check(
        PACKAGE,
        "module.exports = { a, b: c, 'd': 1, e() { return { no: 1 } }, get f() {}, ...require('./rest'), [g]: 2, h: { no: 1 } };\n",
        &expect![[r#"
        CommonJs Require "./rest" exports a,b,d,e,f,h reexports ["./rest"]
        function(exports,module,require){module.exports = { a, b: c, 'd': 1, e() { return { no: 1 } }, get f() {}, ...require('./rest'), [g]: 2, h: { no: 1 } };

        }
    "#]],
    );
}

#[test]
fn exports_of_compilers() {
    check(
        PACKAGE,
        "__exportStar(require('./ts'), exports);\ntslib_1.__exportStar(require('./tslib'), exports);\n_export(exports, { swc: function () {}, other: () => x });\n_export_star(require('./swc'), exports);\nvar _babel = require('./babel');\nObject.keys(_babel).forEach(function (key) { exports[key] = _babel[key] });\nvar _wild = _interopRequireWildcard(require('./wild'));\nObject.keys(_wild).forEach(function (key) {});\n0 && (module.exports = { esbuild, names, ...require('./star') });\n",
        &expect![[r#"
        CommonJs Require "./ts" Require "./tslib" Require "./swc" Require "./babel" Require "./wild" Require "./star" exports swc,other,esbuild,names reexports ["./ts", "./tslib", "./swc", "./babel", "./wild", "./star"]
        function(exports,module,require){__exportStar(require('./ts'), exports);
        tslib_1.__exportStar(require('./tslib'), exports);
        _export(exports, { swc: function () {}, other: () => x });
        _export_star(require('./swc'), exports);
        var _babel = require('./babel');
        Object.keys(_babel).forEach(function (key) { exports[key] = _babel[key] });
        var _wild = _interopRequireWildcard(require('./wild'));
        Object.keys(_wild).forEach(function (key) {});
        0 && (module.exports = { esbuild, names, ...require('./star') });

        }
    "#]],
    );
}

#[test]
fn the_projects_own_are_parsed() {
    check(
        "/a.js",
        "console.log('x'\n",
        &expect![[r#"
        2: "": Expected ',', got '<eof>'.
    "#]],
    );
    check(
        "/a.js",
        "with (a) { delete b; 010 }\nreturn 1;\n",
        &expect![[r#"
        CommonJs
        function(exports,module,require){with (a) { delete b; 010 }
        return 1;

        }
    "#]],
    );
    check(
        "/a.js",
        "let module = 1;\nconsole.log(module);\n",
        &expect![[r#"
        Esm
        function*($m){"use strict";yield;let module = 1;
        console.log(module);

        }
    "#]],
    );
}

#[test]
fn broken_packages_do_not_break_a_chunk() {
    check(
        PACKAGE,
        "exports.a = { b: 1;\n",
        &expect![[r#"
        1: ";": Expected ',', got ';'.
    "#]],
    );
    check(
        PACKAGE,
        "exports.a = `\n",
        &expect![[r#"
        1: "`\n": Unterminated template. Close the template with a back quote.
    "#]],
    );
    check(
        PACKAGE,
        "exports.a = 1 }\n",
        &expect![[r#"
        1: "}": Expression expected.
    "#]],
    );
    check(
        PACKAGE,
        "exports.a = () => (<div/>);\n",
        &expect![[r#"
        1: "<": Expression expected.
        1: ">": Expression expected.
        1: ")": Expression expected.
    "#]],
    );
    check(
        PACKAGE,
        "not javascript\n",
        &expect![[r#"
        1: "javascript": Expected ';', '}' or <eof>.
    "#]],
    );
    check(
        PACKAGE,
        "a = b / c; d = e() / f; if (x) /[)}'\"]/.test(y); return /}/\n",
        &expect![[r#"
        CommonJs
        function(exports,module,require){a = b / c; d = e() / f; if (x) /[)}'"]/.test(y); return /}/

        }
    "#]],
    );
}
